"""One self-contained HTML page about results: verdict, numbers, figures, spec."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from nfanneal.errors import NfannealError
from nfanneal.report.figures import KINDS, Options, draw
from nfanneal.results.compare import Comparison, compare
from nfanneal.results.diagnostics import listed
from nfanneal.results.result import Result
from nfanneal.results.symmetry import in_words
from nfanneal.spec.load import spec_from_text

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem;
       color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.3rem; margin-top: 2.5rem; }
h3 { font-size: 1.05rem; margin-top: 1.8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child, td.words { text-align: left; }
.good { border-left: .4rem solid #009E73; padding-left: .8rem; }
.bad { border-left: .4rem solid #D55E00; padding-left: .8rem; }
figure { margin: 1rem 0; } figure img { max-width: 100%; height: auto; }
figcaption { color: #555; font-size: .9rem; }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto; font-size: .85rem; }
"""


def page(results: Mapping[str, Result]) -> str:
    """The page for results by their file's name: a comparison first if they share their data."""
    title = ", ".join(dict.fromkeys(r.name for r in results.values()))
    parts = [f"<h1>{escape(title)}</h1>"]
    if len(results) > 1:
        parts.append(_together(results))
    for source, result in results.items():
        parts.append(_about(source, result, single=len(results) == 1))
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _together(results: Mapping[str, Result]) -> str:
    """The comparison, and a common corner figure where parameters are shared."""
    parts = ["<h2>Comparison</h2>"]
    try:
        parts.append(_comparison_table(compare(results, any_data=False)))
    except NfannealError as error:
        parts.append(f"<p>No comparison: {escape(str(error))}.</p>")
    try:
        parts.append(_figure("corner", results))
    except NfannealError:
        parts.append("<p>No parameter is shared by all models.</p>")
    return "\n".join(parts)


def _comparison_table(rows: Sequence[Comparison]) -> str:
    cells = [
        (
            r.source,
            f"{r.log_evidence:.3f} ± {r.error:.3f}",
            f"{r.log_bayes_factor:.3f} ± {r.log_bayes_factor_error:.3f}",
            f"{r.probability:.4f} ± {r.probability_error:.4f}",
            "" if r.loo is None else f"{r.loo.elpd:.1f} ± {r.loo.error:.1f}",
            r.kass_raftery or "the best",
        )
        for r in rows
    ]
    head = ("result", "log-evidence", "log Bayes factor of the best over it", "probability")
    return _table((*head, "LOO elpd", "the best one's advantage (Kass &amp; Raftery)"), cells)


def _about(source: str, result: Result, *, single: bool) -> str:
    d, counts, made = result.diagnostics, result.counts, result.provenance
    heading = "Result" if single else escape(source)
    parts = [f"<h2>{heading}</h2>", _verdict(result)]
    parts.append(
        f"<p>log-evidence <strong>{d.log_evidence:.4f} ± {d.log_evidence_error:.4f}</strong>, "
        f"from {d.n_samples:,} final draws worth {d.ess:,.0f} independent ones; "
        f"{counts.n_likelihood_evaluations:,} likelihood evaluations and "
        f"{counts.n_gradient_evaluations:,} gradients in {made.wall_time:,.0f} s.</p>"
    )
    parts.append("<h3>Posterior</h3>" + _parameters(result))
    if result.symmetry is not None:
        lines = in_words(result.symmetry, result.columns.names)
        parts.append("<h3>Symmetry</h3>" + _symmetry(lines))
    parts.append("<h3>Can it be trusted?</h3>" + _diagnostics(result))
    parts.append("<h3>Figures</h3>")
    for kind in _kinds(result):
        parts.append(_figure(kind, {source: result}))
    parts.append(f"<h3>Spec</h3>\n<pre>{escape(result.spec_yaml)}</pre>")
    by = f"nfanneal {made.versions.get('nfanneal', '?')}, seed {made.seed}"
    parts.append(f"<p>Made by {escape(by)}: <code>{escape(made.command)}</code></p>")
    return "\n".join(parts)


def _kinds(result: Result) -> list[str]:
    """The figures that a result has: trajectories only if no file of the user's need run."""
    with_data = ["predictive"] if result.observed else []
    if with_data and not spec_from_text(result.spec_yaml).spec.model.runs_code:
        with_data.append("trajectories")
    return ["corner", *with_data, "modes", "history", "weights"]


def _verdict(result: Result) -> str:
    if result.converged:
        return '<p class="good">No diagnostic speaks against this result.</p>'
    reasons = "".join(f"<li>{escape(text)}</li>" for text in result.warnings)
    return f'<div class="bad"><p>Do not trust this result as it is:</p><ul>{reasons}</ul></div>'


def _parameters(result: Result) -> str:
    rows = [
        (name, *(f"{x:.4g}" for x in (s.mean, s.sd, s.q05, s.median, s.q95)), unit)
        for (name, s), unit in zip(
            result.summaries().items(), result.columns.units.values(), strict=True
        )
    ]
    return _table(("parameter", "mean", "sd", "5 %", "median", "95 %", "unit"), rows)


def _symmetry(lines: Sequence[str]) -> str:
    """What can be exchanged without a difference."""
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in lines)}</ul>"


def _diagnostics(result: Result) -> str:
    """Each diagnostic, what it should be, what it says, and what to do if it is not so."""
    rows = [
        (entry.name, entry.shown(result), entry.good, f"{entry.says} {entry.advice}")
        for entry in listed()
    ]
    return _table(("diagnostic", "here", "good", "what it says, and what to do"), rows, words=True)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: bool = False) -> str:
    """An HTML table; the heads are HTML, the cells are text; `words` in the last column."""
    heads = "".join(f"<th>{text}</th>" for text in head)
    lines = []
    for row in rows:
        cells = [f"<td>{escape(text)}</td>" for text in row]
        if words:
            cells[-1] = f'<td class="words">{escape(row[-1])}</td>'
        lines.append(f"<tr>{''.join(cells)}</tr>")
    body = "\n".join(lines)
    return f'<div class="wide"><table>\n<tr>{heads}</tr>\n{body}\n</table></div>'


def _figure(kind: str, results: Mapping[str, Result]) -> str:
    """A figure inside the page, as PNG."""
    buffer = io.BytesIO()
    draw(kind, results, Options()).savefig(buffer, format="png", bbox_inches="tight")
    data = base64.b64encode(buffer.getvalue()).decode()
    names = ", ".join(Path(source).stem for source in results)
    alt = escape(f"{kind} figure of {names}")
    return (
        f'<figure><img alt="{alt}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(KINDS[kind].caption)}</figcaption></figure>"
    )
