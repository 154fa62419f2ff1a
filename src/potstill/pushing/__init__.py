"""A run's network as a repository of the Hugging Face Hub: its files, its card, and the upload."""

from potstill.pushing.card import card
from potstill.pushing.forms import form_of
from potstill.pushing.published import published
from potstill.pushing.upload import upload

__all__ = ["card", "form_of", "published", "upload"]
