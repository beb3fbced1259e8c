"""``willis-train publish | sign | verify | keygen``: what their arguments mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from willis_models.runtime.bundle import SHIPPED_KEYS

KEY_VARIABLE = "WILLIS_SIGNING_KEY"
_FAILED = 1

Key = Annotated[
    Path | None,
    typer.Option(envvar=KEY_VARIABLE, help="Private key (PEM) that `willis-train keygen` made."),
]
Folder = Annotated[
    Path, typer.Argument(exists=True, file_okay=False, help="A bundle: <name>/<version>.")
]


def add_commands(app: typer.Typer) -> None:
    """Put the commands into ``willis-train``."""
    app.command("publish", epilog=_PUBLISH_EXAMPLES)(publish_command)
    app.command("sign")(sign_command)
    app.command("verify")(verify_command)
    app.command("keygen", epilog=_KEYGEN_EXAMPLES)(keygen_command)


_PUBLISH_EXAMPLES = """Examples:

willis-train publish draft --key ~/keys/stroke-group.key

willis-train publish draft --key ~/keys/stroke-group.key --accept-worse "half the size, for laptops"

A draft is a folder with manifest.json, model.onnx, parity.json, golden.npz and evaluation.json;
docs/training/publishing.md says what each holds."""
_KEYGEN_EXAMPLES = """Example:

willis-train keygen ~/keys/stroke-group.key --name "City Hospital, stroke group"
"""


def publish_command(
    draft: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder to publish.")],
    bundles: Annotated[Path, typer.Option(help="Where <name>/<version> is written.")] = Path(
        "bundles"
    ),
    key: Key = None,
    unsigned: Annotated[
        bool, typer.Option(help="Publish without a signature; services refuse it by default.")
    ] = False,
    accept_worse: Annotated[
        str | None,
        typer.Option(help="Why a version goes out that is worse on the frozen test set."),
    ] = None,
    note: Annotated[str | None, typer.Option(help="A sentence for the model's changelog.")] = None,
) -> None:
    """Write a draft as the next version of its model: checked, judged, signed, or not at all."""
    from pydantic import ValidationError

    from willis_models.errors import WillisError
    from willis_training.export.parity import ExportDrift
    from willis_training.publication.bundle import NotPublishable, Release, publish
    from willis_training.publication.draft import read_draft
    from willis_training.publication.gate import WorseThanBefore
    from willis_training.publication.keys import SigningKeyError, read_signing_key

    if (key is None) != unsigned:
        raise typer.BadParameter(f"Name a key (--key or {KEY_VARIABLE}), or write --unsigned.")
    try:
        signing_key = None if key is None else read_signing_key(key)
        found = read_draft(draft, bundles)
        release = Release(signing_key, accept_worse, note)
        folder = publish(found.model, found.content, bundles, release)
    except (
        ExportDrift,
        NotPublishable,
        SigningKeyError,
        ValidationError,
        WillisError,
        WorseThanBefore,
    ) as error:
        raise _end_with(error) from error
    _say(f"published {folder}; {folder.parent / 'CHANGELOG.md'} says what is new")


def sign_command(folder: Folder, key: Key = None) -> None:
    """Sign a bundle as it is, in place of an earlier signature; its digests have to hold."""
    from willis_models.errors import WillisError
    from willis_models.runtime.bundle import load_bundle
    from willis_models.runtime.signature import public_key_of, sign_bundle
    from willis_training.publication.keys import SigningKeyError, read_signing_key

    if key is None:
        raise typer.BadParameter(f"Name the private key with --key or {KEY_VARIABLE}.")
    try:
        signing_key = read_signing_key(key)
        load_bundle(folder)
    except (SigningKeyError, WillisError) as error:
        raise _end_with(error) from error
    path = sign_bundle(folder, signing_key)
    _say(f"wrote {path} with the key {public_key_of(signing_key, '').key_id}")


def verify_command(
    folder: Folder,
    trusted_keys: Annotated[
        Path, typer.Option(help="File of public keys, one a line.")
    ] = SHIPPED_KEYS,
) -> None:
    """Check a bundle's signature and digests as a service does when it loads it."""
    from willis_models.errors import WillisError
    from willis_models.runtime.bundle import load_bundle
    from willis_models.runtime.signature import Trust, check_signature, read_trusted_keys

    try:
        standing = check_signature(folder, Trust(read_trusted_keys(trusted_keys)))
        load_bundle(folder)
    except WillisError as error:
        raise _end_with(error) from error
    _say(standing.message)


def keygen_command(
    path: Annotated[Path, typer.Argument(help="File for the private key, outside any repository.")],
    name: Annotated[str, typer.Option(help="Whose key it is, as services will show it.")],
) -> None:
    """Make a key pair: the private key signs, the public one goes to those who run the models."""
    from willis_training.publication.keys import SigningKeyError, make_key_pair

    try:
        pair = make_key_pair(path, name)
    except SigningKeyError as error:
        raise _end_with(error) from error
    _say(f"private key {pair.private_path} (keep it secret, and a copy of it safe)")
    _say(f"public key {pair.public_path}: add its line to the file WILLIS_TRUSTED_KEYS of services")
    _say(pair.public.line)


def _say(text: str) -> None:
    Console().print(text, markup=False, soft_wrap=True, highlight=False)


def _end_with(error: Exception) -> typer.Exit:
    Console(stderr=True).print(str(error), style="red", markup=False, soft_wrap=True)
    return typer.Exit(_FAILED)
