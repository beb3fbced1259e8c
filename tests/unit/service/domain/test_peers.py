import pytest

from willis_service.domain.peers import AllowedSender, Destination, SenderList, checked_ae_title


def senders(*texts: str) -> SenderList:
    return SenderList(tuple(AllowedSender.parse(text) for text in texts))


def test_a_listed_title_may_send_from_anywhere_and_others_may_not():
    allowed = senders("PACS", "CT1")

    assert allowed.admits("CT1 ", "10.0.0.9")
    assert not allowed.admits("CT2", "10.0.0.9")


def test_a_title_bound_to_an_address_may_send_from_there_only():
    allowed = senders("PACS@10.0.0.5")

    assert allowed.admits("PACS", "10.0.0.5")
    assert not allowed.admits("PACS", "10.0.0.6")


def test_everybody_is_let_in_only_when_a_star_is_asked_for():
    assert senders("*").admits("ANY", "10.0.0.1")
    assert not senders().admits("ANY", "10.0.0.1")


@pytest.mark.parametrize("text", ["PACS@10.0.0.5:104", "PACS@pacs.local:11112", "A B@[::1]:104"])
def test_a_destination_reads_back_as_it_was_written(text):
    assert str(Destination.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["PACS", "PACS@host", "@host:104", "PACS@host:0", "PACS@host:99999", "A" * 17 + "@h:1"]
)
def test_a_destination_that_is_not_complete_is_refused(text):
    with pytest.raises(ValueError, match=r"destination|AE title"):
        Destination.parse(text)


@pytest.mark.parametrize("text", ["", "  ", "A" * 17, "A\\B", "Ä", "A\nB"])
def test_an_ae_title_has_1_to_16_printable_ascii_characters(text):
    with pytest.raises(ValueError, match="AE title"):
        checked_ae_title(text)
