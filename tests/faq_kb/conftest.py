"""A small FAQ in a folder of its own, the shop's own FAQ, and the real encoder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from faq_kb import Content, FaqSearch, load_content
from models import Encoder, load_encoder

SHIPPED = Path(__file__).resolve().parents[2] / "faq_kb" / "content"

DELIVERY = """\
---
title: Livraison
---

## Quels sont les délais de livraison ? {#delivery-times}

- cb de temps pour recevoir un livre
- quand arrive ma commande si je la passe ce soir

***

Comptez **2 à 4 jours ouvrés**.

## Combien coûte la livraison ? {#delivery-costs}

- frais de port svp
- à partir de quel montant la livraison est offerte

***

La livraison coûte **3,90 €**.
"""

ACCOUNT = """\
---
title: Compte
---

## J'ai oublié mon mot de passe {#forgotten-password}

- mdp oublié
- impossible de me connecter, je ne sais plus le code que j'avais choisi

***

Demandez un lien, valable **1 heure**.
"""

Write = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return load_encoder()


@pytest.fixture(scope="session")
def shipped() -> Content:
    return load_content(SHIPPED)


@pytest.fixture(scope="session")
def shop_faq(encoder: Encoder, shipped: Content) -> FaqSearch:
    """The shop's own FAQ, searched without trained heads."""
    return FaqSearch(encoder, shipped)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "content"


@pytest.fixture
def write(folder: Path) -> Write:
    """Save a content file: `write("fr/livraison", text)`."""

    def save(name: str, text: str) -> Path:
        file = folder / f"{name}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    return save


@pytest.fixture
def small_faq(write: Write, folder: Path) -> Path:
    """A content folder with three French entries in two files."""
    write("fr/livraison", DELIVERY)
    write("fr/compte", ACCOUNT)
    return folder
