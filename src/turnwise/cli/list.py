"""List the agents, judges, corpora, engines and other plug-ins and show their cards; print the studies that come along."""

from __future__ import annotations

import click

from turnwise.foundation.catalog import Card, Catalog
from turnwise.foundation.errors import InputError

KINDS = {
    "agents": [("turnwise.agents.agent", "AGENTS")],
    "judges": [("turnwise.judges.judge", "JUDGES")],
    "corpora": [("turnwise.dialogues.corpus", "CORPORA")],
    "engines": [("turnwise.speech.engine", "SYNTHESIZERS"), ("turnwise.speech.engine", "RECOGNIZERS")],
    "perturbations": [("turnwise.speech.perturbation", "PERTURBATIONS")],
    "estimators": [("turnwise.quality.estimator", "ESTIMATORS")],
    "listeners": [("turnwise.listening.listener", "LISTENERS")],
    "describers": [("turnwise.listening.describer", "DESCRIBERS")],
}
STUDIES = "studies"


@click.command(epilog="Example: turnwise list judges memory")
@click.argument("kind", type=click.Choice(sorted((*KINDS, STUDIES))), required=False)
@click.argument("name", required=False)
def list_command(kind: str | None, name: str | None) -> None:
    """List what can be named in a study, or show the card of one NAME. Nothing heavy is imported.

    \b
    The card of a study is the study:
      turnwise list studies context_trap > study.toml
    """
    for one in [kind] if kind else sorted((*KINDS, STUDIES)):
        if one == STUDIES:
            _studies(name)
            continue
        catalogs = [_catalog(module, attribute) for module, attribute in KINDS[one]]
        if name is not None:
            _show(catalogs, name)
            continue
        click.echo(click.style(one, bold=True))
        rows: dict[str, tuple[Card, list[str]]] = {}
        for catalog in catalogs:
            for card in catalog.cards().values():
                rows.setdefault(card.name, (card, []))[1].append(catalog.kind)
        width = max((len(row) for row in rows), default=0)
        for row, (card, kinds) in sorted(rows.items()):
            what = f"[{', '.join(kinds)}] " if len(catalogs) > 1 else ""
            click.echo(f"  {row:<{width}}  {what}{card.summary}")


def _studies(name: str | None) -> None:
    from turnwise.study.shipped import shipped_studies, shipped_study

    if name is not None:
        click.echo(shipped_study(name), nl=False)
        return
    click.echo(click.style(STUDIES, bold=True))
    known = shipped_studies()
    for row, summary in known.items():
        click.echo(f"  {row:<{max(map(len, known))}}  {summary}")


def _catalog(module: str, attribute: str) -> Catalog:
    import importlib

    catalog = getattr(importlib.import_module(module), attribute)
    assert isinstance(catalog, Catalog)
    return catalog


def _show(catalogs: list[Catalog], name: str) -> None:
    failure: InputError | None = None
    for catalog in catalogs:
        try:
            card = catalog.card(name)
        except InputError as error:
            failure = error
            continue
        click.echo(click.style(card.name, bold=True) + f"  ({catalog.kind}, {card.module})\n\n{card.text}")
        return
    assert failure is not None
    raise failure
