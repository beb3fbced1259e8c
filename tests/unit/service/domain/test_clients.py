from __future__ import annotations

import pytest

from willis_service.domain.clients import ApiClient
from willis_service.settings import SettingsError, load_settings

KEY = "a-key-that-is-long"


def test_a_client_is_a_name_and_a_key_that_is_not_shown():
    client = ApiClient.parse(f"viewer:{KEY}")

    assert (client.name, client.key) == ("viewer", KEY)
    assert KEY not in repr(client)


@pytest.mark.parametrize("text", ["viewer", "viewer:short", f":{KEY}", f"a b:{KEY}", f"-:{KEY}"])
def test_what_is_no_client_is_refused_without_its_key(text):
    with pytest.raises(ValueError) as raised:
        ApiClient.parse(text)

    assert KEY not in str(raised.value)


def test_settings_list_clients_and_never_show_a_key():
    settings = load_settings({}, api_clients=f"viewer:{KEY}, ward-7:another-{KEY}")

    assert [client.name for client in settings.api_clients] == ["viewer", "ward-7"]
    assert KEY not in repr(settings)


def test_a_client_that_can_not_be_read_is_named_by_its_setting_only():
    with pytest.raises(SettingsError, match="WILLIS_API_CLIENTS") as raised:
        load_settings({}, api_clients=f"no name:{KEY}")

    assert KEY not in str(raised.value)
