"""The settings. With an empty environment everything runs on one machine, with its data in the folder ``var``."""

from datetime import timedelta
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

from config.database import database
from config.environment import (
    env_choice,
    env_flag,
    env_language,
    env_list,
    env_number,
    env_text,
    env_time_zone,
    env_url,
    generated_secret,
)
from config.log import logging_to_console
from config.mail import mailer

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = env_flag("DEBUG")
DATA_DIR = (BASE_DIR / env_text("DATA_DIR", "var")).resolve()
try:
    DATA_DIR.mkdir(0o700, parents=True, exist_ok=True)
    SECRET_KEY = env_text("SECRET_KEY") or generated_secret(DATA_DIR / "secret-key")
except OSError as error:
    raise ImproperlyConfigured(f"DATA_DIR {DATA_DIR} cannot be used: {error.strerror}.") from error

PORT = env_number("PORT", 8000, at_most=65535)
# The number of machines that share the database. assessments/operations/checks.py checks the needs of several.
MACHINES = env_number("MACHINES", 1, at_most=1000)
SITE_URL = env_url("SITE_URL", f"http://127.0.0.1:{PORT}", {"http", "https"}).rstrip("/")
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", ["127.0.0.1", "localhost", "[::1]"])
ON_LOOPBACK = set(ALLOWED_HOSTS) <= {"127.0.0.1", "localhost", "[::1]"}

INSTALLED_APPS = [
    "assessments.apps.OfficeConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic",
    "django.contrib.staticfiles",
    "channels",
    "django_eventstream",
    "django_htmx",
    "django_tasks_db",
    "axes",
    "assessments.apps.AssessmentsConfig",
]

MIDDLEWARE = [
    "assessments.server.middleware.HeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "assessments.server.middleware.CharactersMiddleware",
    "assessments.server.middleware.StaticFilesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "assessments.server.middleware.UserMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            # The pages write amounts as the documents do.
            "libraries": {"figures": "assessments.printing.formatting"},
        },
    }
]

# Database ---------------------------------------------------------------------------------------------------------

# Seconds, on PostgreSQL: that a statement may wait for a lock, that a statement of a web process or a worker may take,
# and that a transaction may be idle. A person whose request runs into the first two limits is told to try again.
LOCK_TIMEOUT = env_number("LOCK_TIMEOUT", 5)
STATEMENT_TIMEOUT = env_number("STATEMENT_TIMEOUT", 30)
IDLE_TIMEOUT = env_number("IDLE_TIMEOUT", 60)
DATABASES = {"default": database(DATA_DIR, LOCK_TIMEOUT, IDLE_TIMEOUT)}
# The requests of a web process share a few connections to PostgreSQL. A broken connection is replaced when a request
# needs it. While the server is away, a request fails within seconds, and the pool goes on trying at short intervals.
DATABASE_POOL = {"min_size": 1, "max_size": env_number("DATABASE_POOL", 10, at_most=1000), "num_workers": 1}
DATABASE_POOL |= {"timeout": 5, "reconnect_timeout": 2}

# Background work --------------------------------------------------------------------------------------------------

# The backends of django.tasks that bring tasks to the workers, and the engine that a worker runs for each backend.
TASK_ENGINES = {
    "django_tasks_db.DatabaseBackend": "assessments.operations.database_engine.DatabaseEngine",
    "assessments.operations.celery_engine.CeleryBackend": "assessments.operations.celery_engine.CeleryEngine",
}
TASK_BACKEND = env_choice("TASK_BACKEND", list(TASK_ENGINES))
TASKS = {"default": {"BACKEND": TASK_BACKEND}}
TASK_ENGINE = TASK_ENGINES[TASK_BACKEND]
# The address of RabbitMQ.
CELERY_BROKER_URL = env_url("CELERY_BROKER_URL", "", {"amqp", "amqps"})
WORKERS = env_number("WORKERS", 1, at_most=64)
LEASE = timedelta(seconds=env_number("LEASE_SECONDS", 60, at_least=2))
# Seconds that one document may take before its child process is ended.
DOCUMENT_DEADLINE = env_number("DOCUMENT_DEADLINE", 600)
# Bytes of memory (address space) that one document may take, on top of the libraries that make it.
DOCUMENT_MEMORY = env_number("DOCUMENT_MEMORY_MIB", 1024, at_least=64) * 2**20
# Kinds of document of a site's own, as dotted paths to their entries; see assessments/documents/kinds.py.
EXTRA_DOCUMENT_KINDS: list[str] = []
# How often one person may request documents within a minute, on the pages and over the API.
REQUESTS_PER_MINUTE = env_number("REQUESTS_PER_MINUTE", 60)

# The stream -------------------------------------------------------------------------------------------------------

REDIS_URL = env_url("REDIS_URL", "", {"redis", "rediss", "unix"})
if REDIS_URL:
    CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [REDIS_URL]}}
    }
else:
    # A subscription lasts as long as its process.
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"group_expiry": 10**9}}}
# Seconds between two reads of the database: with Redis a safety net, without it the only news of other processes.
RELAY_TICK = 5.0 if REDIS_URL else 0.2
# Streams that one person may have open on one web process: one for each open page.
STREAMS_PER_USER = env_number("STREAMS_PER_USER", 20)
EVENTSTREAM_STORAGE_CLASS = "assessments.live.changes.DocumentStorage"
EVENTSTREAM_CHANNELMANAGER_CLASS = "assessments.live.changes.AssessmentChannels"

# Files ------------------------------------------------------------------------------------------------------------

# Several machines need a folder that all of them share. The work folder is always this machine's own.
MEDIA_ROOT = (BASE_DIR / env_text("MEDIA_DIR", str(DATA_DIR / "media"))).resolve()
WORK_ROOT = DATA_DIR / "work"
# A bucket to keep files in instead. Its keys are in the variables of Amazon's own library, such as AWS_ACCESS_KEY_ID.
S3_BUCKET = env_text("S3_BUCKET")
S3_ENDPOINT_URL = env_url("S3_ENDPOINT_URL", "", {"http", "https"})
S3_REGION = env_text("S3_REGION")
# The sender of documents: this process, the web server in front of it (nginx), or the bucket, by a signed link.
DELIVERY = env_choice("DELIVERY", ["stream", "accel", "link"])
# nginx, in the group of this process's user, reads the files that it sends; other users read none.
FILE_UPLOAD_PERMISSIONS, FILE_UPLOAD_DIRECTORY_PERMISSIONS = (0o640, 0o750) if DELIVERY == "accel" else (0o600, 0o700)
# The address of MEDIA_ROOT on that web server. Only this process may name it, and clients may not.
ACCEL_PREFIX = "/_media/"
# Seconds that a signed link is valid: many, because a viewer reads a PDF in pieces.
LINK_SECONDS = 300
STATIC_ROOT = DATA_DIR / "static"
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
_folder = {"BACKEND": "assessments.storage.folder.WholeFileStorage"}
_bucket = {
    "BACKEND": "assessments.storage.bucket.BucketStorage",
    "OPTIONS": {"bucket_name": S3_BUCKET, "endpoint_url": S3_ENDPOINT_URL or None, "region_name": S3_REGION or None},
}
STORAGES = {
    "default": _bucket if S3_BUCKET else _folder,
    "staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"},
}
PHOTO_MAX_BYTES = env_number("PHOTO_MAX_MIB", 40) * 2**20
PHOTO_MAX_PIXELS = env_number("PHOTO_MAX_MEGAPIXELS", 60, at_most=1000) * 1_000_000
# Photos that one assessment may have.
PHOTO_MAX_COUNT = env_number("PHOTO_MAX_COUNT", 500)
# Seconds, and bytes of memory on top of the libraries, that decoding one photo may take.
PHOTO_DEADLINE = env_number("PHOTO_DEADLINE", 15)
PHOTO_MEMORY = env_number("PHOTO_MEMORY_MIB", 1024, at_least=64) * 2**20
# Bytes of a request with files; any other request may have DATA_UPLOAD_MAX_MEMORY_SIZE.
REQUEST_MAX_BYTES = env_number("REQUEST_MAX_MIB", 1024, at_least=4) * 2**20
SERVESTATIC_ALLOW_ALL_ORIGINS = False
# A workshop uploads photos by the dozen. Files above FILE_UPLOAD_MAX_MEMORY_SIZE go to disk, not into memory.
DATA_UPLOAD_MAX_NUMBER_FILES = 200
# An estimate of 300 lines or an assessment of 250 photos is one form of the office. A field counts with what it showed.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 40_000
FILE_UPLOAD_MAX_MEMORY_SIZE = 2**20
DATA_UPLOAD_MAX_MEMORY_SIZE = 3 * 2**20

# People -----------------------------------------------------------------------------------------------------------

SESSION_ENGINE = "assessments.operations.sessions"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "assessments:list"
LOGOUT_REDIRECT_URL = "login"
# A session ends so long after the sign-in: people share machines.
SESSION_COOKIE_AGE = env_number("SESSION_HOURS", 12, at_most=8760) * 3600
# Seconds for which the link of a mail that resets a password is good; the mail and the page say an hour.
PASSWORD_RESET_TIMEOUT = 3600
AUTHENTICATION_BACKENDS = ["assessments.operations.sign_in.LockedBackend"]
# The limits of failed sign-ins: assessments/operations/sign_in.py says what is counted, and why.
AXES_HANDLER = "assessments.operations.sign_in.Throttle"
AXES_CLIENT_IP_CALLABLE = "assessments.operations.sign_in.client_address"
AXES_LOCKOUT_CALLABLE = "assessments.operations.sign_in.locked_out"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
# Further tries during a lockout do not make the lockout longer, and write nothing into the database.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
# The name that somebody typed may be a password, so it stays out of the log. An operator needs the address only.
AXES_SENSITIVE_PARAMETERS = ["username", "csrfmiddlewaretoken"]
AXES_VERBOSE = False
# One action of Axes in the admin fails; `manage.py axes_reset_username` lets a person in again at once.
AXES_ENABLE_ADMIN = False
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

MAILERS = {"default": mailer(DATA_DIR)}
DEFAULT_FROM_EMAIL = env_text("DEFAULT_FROM_EMAIL", "documents@localhost")

# Safety -----------------------------------------------------------------------------------------------------------

SECURE_CSP = {
    "default-src": [CSP.SELF],
    "img-src": [CSP.SELF],
    "object-src": [CSP.NONE],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.SELF],
    "frame-ancestors": [CSP.NONE],
}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not ON_LOOPBACK
SECURE_SSL_REDIRECT = not ON_LOOPBACK
# Probes do not come through the proxy that speaks HTTPS.
SECURE_REDIRECT_EXEMPT = ["^readyz$", "^healthz$", "^metrics$"]
# A browser keeps this promise to its end, so the operator gives it. Subdomains may be other sites.
SECURE_HSTS_SECONDS = env_number("HSTS_SECONDS", 0, at_least=0)
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W005", "security.W021"]
SECURE_PROXY_SSL_HEADER = None if ON_LOOPBACK else ("HTTP_X_FORWARDED_PROTO", "https")
CSRF_TRUSTED_ORIGINS = env_list("CSRF_TRUSTED_ORIGINS", [SITE_URL])

# Versions ---------------------------------------------------------------------------------------------------------

# Versions of each document that are kept at any age, and days for which every version is kept.
KEEP_VERSIONS = env_number("KEEP_VERSIONS", 5)
KEEP_VERSIONS_DAYS = env_number("KEEP_VERSIONS_DAYS", 365, at_most=36_500)

# Words ------------------------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
USE_I18N = False
FORMAT_MODULE_PATH = "config.formats"
# The order in which the office types days: 03/04/2026 is 3 April unless the month comes first.
DATE_ORDER = env_choice("DATE_ORDER", ["day", "month", "year"])
TIME_ZONE = env_time_zone("TIME_ZONE", "Africa/Johannesburg")
# The language in which people type. A screen reader reads notes, descriptions and captions on paper in it.
PAPER_LANGUAGE = env_language("PAPER_LANGUAGE", "en")

# Monitoring -------------------------------------------------------------------------------------------------------

# The token with which a scraper reads /metrics. Without a token, only staff who may view assessments can read it.
METRICS_TOKEN = env_text("METRICS_TOKEN")
SENTRY_DSN = env_url("SENTRY_DSN", "", {"http", "https"})
SENTRY_ENVIRONMENT = env_text("SENTRY_ENVIRONMENT", "production")
SENTRY_RELEASE = env_text("SENTRY_RELEASE")
LOG_FORMAT = env_choice("LOG_FORMAT", ["line", "json"])
LOGGING = logging_to_console(LOG_FORMAT)
