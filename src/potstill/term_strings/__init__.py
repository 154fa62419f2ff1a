"""Terms as strings, ``"1000 * AT on stages"``: the language of ``--terms``, for anyone's own loop too."""

from potstill.term_strings.parsing import parse_terms
from potstill.term_strings.teachers import terms

__all__ = ["parse_terms", "terms"]
