import os

import pytest
from pydantic import SecretStr

from willis_service.domain.peers import Destination
from willis_service.settings import (
    Settings,
    SettingsError,
    ensure_api_key,
    ensure_serial_number,
    load_settings,
)


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch):
    for name in [name for name in os.environ if name.startswith("WILLIS_")]:
        monkeypatch.delenv(name)


def test_a_misspelt_setting_is_an_error_that_names_it(monkeypatch):
    monkeypatch.setenv("WILLIS_DICOM_PROT", "104")

    with pytest.raises(SettingsError, match="WILLIS_DICOM_PROT"):
        load_settings()


def test_lists_are_written_with_commas(monkeypatch):
    monkeypatch.setenv("WILLIS_RESULT_DESTINATIONS", "PACS@10.0.0.5:104, VNA@vna:11112")
    monkeypatch.setenv("WILLIS_ALLOWED_AE_TITLES", "CT1,CT2@10.0.0.7")

    settings = load_settings()

    assert settings.result_destinations[1] == Destination("VNA", "vna", 11112)
    assert settings.senders.admits("CT2", "10.0.0.7")


def test_an_error_names_the_setting_and_does_not_repeat_the_value(monkeypatch):
    monkeypatch.setenv("WILLIS_DICOM_PORT", "sesame")

    with pytest.raises(SettingsError, match="WILLIS_DICOM_PORT") as caught:
        load_settings()

    assert "sesame" not in str(caught.value)


def test_by_default_only_this_machine_and_only_our_own_sender_get_in():
    settings = load_settings()

    assert (settings.dicom_bind, settings.http_bind) == ("127.0.0.1", "127.0.0.1")
    assert settings.senders.admits("WILLIS-SCU", "127.0.0.1")
    assert not settings.senders.is_promiscuous


def test_settings_can_not_be_changed(tmp_path):
    with pytest.raises(ValueError, match="frozen"):
        load_settings(data_dir=tmp_path).dicom_port = 1


def test_the_api_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    settings = load_settings(data_dir=tmp_path)

    first, second = ensure_api_key(settings), ensure_api_key(settings)

    assert first == second
    assert len(first.get_secret_value()) >= 32
    assert (tmp_path / "api-key").stat().st_mode & 0o777 == 0o600


def test_a_key_file_that_a_crash_left_empty_gets_a_key(tmp_path):
    settings = load_settings(data_dir=tmp_path)
    (tmp_path / "api-key").touch()

    key = ensure_api_key(settings).get_secret_value()

    assert len(key) >= 32
    assert (tmp_path / "api-key").read_text().strip() == key
    assert (tmp_path / "api-key").stat().st_mode & 0o777 == 0o600


def test_a_configured_api_key_is_taken_and_not_written_or_shown(tmp_path):
    settings = load_settings(data_dir=tmp_path, api_key=SecretStr("sesame"))

    assert ensure_api_key(settings).get_secret_value() == "sesame"
    assert not (tmp_path / "api-key").exists()
    assert "sesame" not in repr(settings)


def test_an_installation_keeps_its_serial_number(tmp_path):
    settings = load_settings(data_dir=tmp_path)

    assert ensure_serial_number(settings) == ensure_serial_number(settings)


def test_the_redis_socket_fits_into_a_unix_address_however_deep_the_data_folder(tmp_path):
    deep = Settings(data_dir=tmp_path.joinpath(*["x" * 50] * 3))

    assert len(str(deep.redis_socket)) <= 100


def test_a_message_is_redelivered_only_long_after_the_longest_run():
    settings = load_settings(deadline_s=900)

    assert settings.visibility_timeout_s > 3 * settings.deadline_s
