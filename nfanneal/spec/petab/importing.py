"""A PEtab problem → the text of a spec that says the same, and its nominal point."""

from __future__ import annotations

from pathlib import Path

from nfanneal.errors import SpecError
from nfanneal.spec.collecting import Complaints
from nfanneal.spec.document import Document
from nfanneal.spec.importers import Imported
from nfanneal.spec.petab.places import places_of
from nfanneal.spec.petab.problem import with_names
from nfanneal.spec.petab.reading import read_problem
from nfanneal.spec.petab.spec_of import new_names, spec_mapping
from nfanneal.spec.petab.writing import spec_text
from nfanneal.spec.sbml.model import read_sbml


def petab_spec(document: Document, folder: Path) -> Imported:
    """The spec of a problem, whose files are named relative to `folder`.

    Raises:
        InputError: petab is not installed.
        SpecError: every complaint about its files.
    """
    wrong = Complaints()
    problem = read_problem(document, folder, wrong)
    model = None
    if problem is not None:
        try:
            model = read_sbml(problem.model_file)
        except SpecError as error:
            wrong.take(error.complaints)
    if problem is None or model is None:
        wrong.tell()
        raise SpecError(())
    problem = with_names(problem, new_names(problem, model, wrong))
    mapping, rows = spec_mapping(problem, model, wrong)
    wrong.tell()
    nominal = {p.name: p.nominal for p in problem.parameters if p.nominal is not None}
    text = spec_text(mapping, problem, model)
    places = places_of(mapping, problem, model)
    return Imported(text, model.notes, whole=True, nominal=nominal, places=places, rows=rows)
