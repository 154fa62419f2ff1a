import pytest

from potstill.address import Address, owner
from potstill.errors import BadInput

ADDRESSES = {
    "labels": Address("labels"),
    "student": Address("student"),
    "student#1": Address("student", part="1"),
    "teacher#hidden_states#3": Address("teacher", part="hidden_states#3"),
    "student.layer3": Address("student", path="layer3"),
    "teacher.fc:in": Address("teacher", path="fc:in"),
    "student.blocks.8:in:map": Address("student", path="blocks.8:in:map"),
    "student@strong": Address("student", "strong"),
    "student@strong.layer3": Address("student", "strong", path="layer3"),
    "student@strong#1.encoder.0": Address("student", "strong", "1", "encoder.0"),
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_addresses_are_taken_apart_and_put_together(text):
    assert Address.parse(text) == ADDRESSES[text]
    assert str(ADDRESSES[text]) == text
    assert owner(text) == ADDRESSES[text].network


@pytest.mark.parametrize("text", ["", "@strong", "student@", "student#", "student.", "a@b@c", "student.x@y", None, 3])
def test_what_is_no_address_is_told_the_form(text):
    with pytest.raises(BadInput, match=r"is no address; the form is NETWORK\[@INPUT\]\[#PART\]\[\.PATH"):
        Address.parse(text)
