from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

urlpatterns = [
    path("login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", include("assessments.views.account")),
    path("admin/", admin.site.urls),
    path("", include("assessments.urls")),
]

handler400 = "assessments.views.errors.bad_request"
handler500 = "assessments.views.errors.failed"
