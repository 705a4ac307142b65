"""The forms of the pages."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from assessments.models import Photo


class ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class ManyFilesField(forms.FileField):
    """One or more files; each is checked like a single file."""

    widget = ManyFilesInput

    def clean(self, data: Any, initial: Any = None) -> "list[UploadedFile[bytes]]":
        files = data if isinstance(data, list | tuple) else [data]
        return [super(ManyFilesField, self).clean(file, initial) for file in files or [None]]


class PhotosForm(forms.Form):
    # "accept" only tells the browser which files to offer; reading a file finds its real type.
    photos = ManyFilesField(
        widget=ManyFilesInput(attrs={"accept": "image/*,.heic,.heif"}),
        allow_empty_file=True,
        error_messages={"required": "Choose one or more photos first."},
    )
    section = forms.ChoiceField(choices=Photo.Section.choices, initial=Photo.Section.DAMAGE)
    caption = forms.CharField(
        max_length=200, required=False, help_text="For all of them; without one, each keeps its file name."
    )
