from .assessment import Assessment, Client, Counter, Office, Repairer
from .audit import AuditEntry
from .bulk import BulkRequest
from .document import Attempt, Batch, Document, DocumentVersion, Heartbeat
from .estimate import Estimate, EstimateLine
from .photo import Photo
from .site import Site
from .vehicle import Accessory, Damage, Tyre, Valuation, Vehicle
