from django.urls import path, register_converter
from django.urls.converters import StringConverter

from .documents.kinds import SLUGS
from .views import api, documents, health, pages


class KindConverter(StringConverter):
    regex = "|".join(SLUGS)


register_converter(KindConverter, "kind")

app_name = "assessments"
urlpatterns = [
    path("", pages.home, name="home"),
    path("assessments/", pages.assessment_list, name="list"),
    path("assessments/<str:number>/", pages.assessment, name="detail"),
    path("assessments/<str:number>/photos/", pages.upload_photos, name="photos"),
    path("assessments/<str:number>/photos/<int:pk>/thumbnail/", pages.thumbnail, name="thumbnail"),
    path("assessments/<str:number>/documents/generate/", documents.generate, name="generate"),
    path("assessments/<str:number>/documents/cancel/", documents.cancel, name="cancel"),
    path("assessments/<str:number>/documents/<kind:slug>/", documents.file, name="file"),
    path("assessments/<str:number>/documents/<kind:slug>/retry/", documents.retry, name="retry"),
    path("assessments/<str:number>/events/", documents.events, name="events"),
    path("api/generate-all-documents", api.generate_all_documents, name="api"),
    path("readyz", health.readyz, name="readyz"),
    path("healthz", health.healthz, name="healthz"),
    path("metrics", health.metrics, name="metrics"),
]
