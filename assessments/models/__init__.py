from .assessment import Assessment, Client, Counter, Office, Repairer
from .attempt import Attempt
from .audit import AuditEntry
from .batch import Batch, BulkRequest, Joining
from .document import Document
from .estimate import Estimate, EstimateLine
from .heartbeat import Heartbeat
from .photo import Photo
from .removal import Removal
from .reset_mail import ResetMail
from .site import Site
from .tally import Tally
from .vehicle import Accessory, Damage, Tyre, Valuation, Vehicle
from .version import DocumentVersion
