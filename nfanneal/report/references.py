"""What a result rests on, as references: the method, the solvers, and the libraries it ran with."""

from __future__ import annotations

from dataclasses import dataclass

LATEX = {"ç": r"{\c c}", "ü": r"{\"u}", "–": "--", "&": r"\&"}
"""What BibTeX wants other characters to be."""


@dataclass(frozen=True)
class Reference:
    """One entry of a bibliography.

    `kind` is BibTeX's, `authors` are `Family, Given`, or a group's name, and may end with `others`;
    `where` are the fields that say where it appeared, and `short` is how a text cites it.
    """

    key: str
    kind: str
    short: str
    authors: tuple[str, ...]
    title: str
    year: str
    where: tuple[tuple[str, str], ...]

    @property
    def link(self) -> str:
        """Where it is found; empty if nowhere for certain."""
        fields = dict(self.where)
        if doi := fields.get("doi"):
            return f"https://doi.org/{doi}"
        if eprint := fields.get("eprint"):
            return f"https://arxiv.org/abs/{eprint}"
        return ""

    @property
    def bibtex(self) -> str:
        """The entry as BibTeX has it; capitals of the title stay as they are."""
        authors = " and ".join(
            n if ", " in n or n == "others" else f"{{{n}}}" for n in self.authors
        )
        fields = [("author", authors), ("title", f"{{{self.title}}}")]
        fields += [*self.where, *([("year", self.year)] if self.year else [])]
        if dict(self.where).get("eprint"):
            fields.append(("archiveprefix", "arXiv"))
        lines = [f"  {name} = {{{_latex(value)}}}," for name, value in fields]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"])

    @property
    def plain(self) -> str:
        """The entry as one line of text."""
        names = [name.partition(", ") for name in self.authors if name != "others"]
        people = ", ".join(f"{family} {_initials(given)}".strip() for family, _, given in names)
        people += " et al." if "others" in self.authors else ""
        fields = dict(self.where)
        within = fields.get("journal") or fields.get("booktitle") or ""
        place = ", ".join(
            text
            for text in (f"{within} {fields.get('volume', '')}".strip(), fields.get("pages"))
            if text
        )
        found = fields.get("doi", "")
        found = f"doi:{found}" if found else ""
        if not found and "eprint" in fields:
            found = f"arXiv:{fields['eprint']}"
        end = ". ".join(text for text in (place, found) if text)
        when = self.year or fields.get("note", "")
        return f"{people} ({when}). {self.title}." + (f" {end}." if end else "")


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)


def _initials(given: str) -> str:
    return "".join(name[0] for name in given.split())


METHOD = Reference(
    "wang2025annealing",
    "misc",
    "Wang, Chi & Dinner 2025",
    ("Wang, Yihang", "Chi, Chris", "Dinner, Aaron R."),
    "Mitigating mode collapse in normalizing flows by annealing with an adaptive schedule: "
    "Application to parameter estimation",
    "2025",
    (("eprint", "2505.03652"),),
)
SPLINES = Reference(
    "durkan2019splines",
    "inproceedings",
    "Durkan et al. 2019",
    ("Durkan, Conor", "Bekasov, Artur", "Murray, Iain", "Papamakarios, George"),
    "Neural Spline Flows",
    "2019",
    (
        ("booktitle", "Advances in Neural Information Processing Systems"),
        ("volume", "32"),
        ("eprint", "1906.04032"),
    ),
)
MASKED = Reference(
    "papamakarios2017masked",
    "inproceedings",
    "Papamakarios, Pavlakou & Murray 2017",
    ("Papamakarios, George", "Pavlakou, Theo", "Murray, Iain"),
    "Masked Autoregressive Flow for Density Estimation",
    "2017",
    (
        ("booktitle", "Advances in Neural Information Processing Systems"),
        ("volume", "30"),
        ("eprint", "1705.07057"),
    ),
)
COUPLING = Reference(
    "dinh2017realnvp",
    "inproceedings",
    "Dinh, Sohl-Dickstein & Bengio 2017",
    ("Dinh, Laurent", "Sohl-Dickstein, Jascha", "Bengio, Samy"),
    "Density estimation using Real NVP",
    "2017",
    (
        ("booktitle", "International Conference on Learning Representations"),
        ("eprint", "1605.08803"),
    ),
)
BRIDGE = Reference(
    "meng1996bridge",
    "article",
    "Meng & Wong 1996",
    ("Meng, Xiao-Li", "Wong, Wing Hung"),
    "Simulating ratios of normalizing constants via a simple identity: a theoretical exploration",
    "1996",
    (("journal", "Statistica Sinica"), ("volume", "6"), ("pages", "831–860")),
)
TAIL = Reference(
    "zhang2009pareto",
    "article",
    "Zhang & Stephens 2009",
    ("Zhang, Jin", "Stephens, Michael A."),
    "A New and Efficient Estimation Method for the Generalized Pareto Distribution",
    "2009",
    (
        ("journal", "Technometrics"),
        ("volume", "51"),
        ("pages", "316–325"),
        ("doi", "10.1198/tech.2009.08017"),
    ),
)
BALANCE = Reference(
    "veach1995combining",
    "inproceedings",
    "Veach & Guibas 1995",
    ("Veach, Eric", "Guibas, Leonidas J."),
    "Optimally combining sampling techniques for Monte Carlo rendering",
    "1995",
    (("booktitle", "SIGGRAPH"), ("pages", "419–428"), ("doi", "10.1145/218380.218498")),
)
TRUNCATED = Reference(
    "ionides2008truncated",
    "article",
    "Ionides 2008",
    ("Ionides, Edward L.",),
    "Truncated Importance Sampling",
    "2008",
    (
        ("journal", "Journal of Computational and Graphical Statistics"),
        ("volume", "17"),
        ("pages", "295–311"),
        ("doi", "10.1198/106186008X320456"),
    ),
)
SOLVERS = {
    "Tsit5": Reference(
        "tsitouras2011tsit5",
        "article",
        "Tsitouras 2011",
        ("Tsitouras, Ch.",),
        "Runge–Kutta pairs of order 5(4) satisfying only the first column simplifying assumption",
        "2011",
        (
            ("journal", "Computers & Mathematics with Applications"),
            ("volume", "62"),
            ("pages", "770–775"),
            ("doi", "10.1016/j.camwa.2011.06.002"),
        ),
    ),
    "Rodas5P": Reference(
        "steinebach2023rodas5p",
        "article",
        "Steinebach 2023",
        ("Steinebach, Gerd",),
        "Construction of Rosenbrock–Wanner method Rodas5P and numerical benchmarks within the "
        "Julia Differential Equations package",
        "2023",
        (
            ("journal", "BIT Numerical Mathematics"),
            ("volume", "63"),
            ("doi", "10.1007/s10543-023-00967-x"),
        ),
    ),
}
"""By the names that models give them."""
LIBRARIES = {
    "torch": Reference(
        "paszke2019pytorch",
        "inproceedings",
        "Paszke et al. 2019",
        ("Paszke, Adam", "others"),
        "PyTorch: An Imperative Style, High-Performance Deep Learning Library",
        "2019",
        (
            ("booktitle", "Advances in Neural Information Processing Systems"),
            ("volume", "32"),
            ("eprint", "1912.01703"),
        ),
    ),
    "zuko": Reference(
        "rozet2022zuko",
        "misc",
        "Rozet 2022",
        ("Rozet, François",),
        "Zuko: Normalizing flows in PyTorch",
        "2022",
        (("doi", "10.5281/zenodo.7625672"),),
    ),
    "numpy": Reference(
        "harris2020numpy",
        "article",
        "Harris et al. 2020",
        ("Harris, Charles R.", "others"),
        "Array programming with NumPy",
        "2020",
        (
            ("journal", "Nature"),
            ("volume", "585"),
            ("pages", "357–362"),
            ("doi", "10.1038/s41586-020-2649-2"),
        ),
    ),
    "scipy": Reference(
        "virtanen2020scipy",
        "article",
        "Virtanen et al. 2020",
        ("Virtanen, Pauli", "others"),
        "SciPy 1.0: fundamental algorithms for scientific computing in Python",
        "2020",
        (
            ("journal", "Nature Methods"),
            ("volume", "17"),
            ("pages", "261–272"),
            ("doi", "10.1038/s41592-019-0686-2"),
        ),
    ),
    "numba": Reference(
        "lam2015numba",
        "inproceedings",
        "Lam, Pitrou & Seibert 2015",
        ("Lam, Siu Kwan", "Pitrou, Antoine", "Seibert, Stanley"),
        "Numba: a LLVM-based Python JIT compiler",
        "2015",
        (
            ("booktitle", "Second Workshop on the LLVM Compiler Infrastructure in HPC"),
            ("doi", "10.1145/2833157.2833162"),
        ),
    ),
    "sympy": Reference(
        "meurer2017sympy",
        "article",
        "Meurer et al. 2017",
        ("Meurer, Aaron", "others"),
        "SymPy: symbolic computing in Python",
        "2017",
        (
            ("journal", "PeerJ Computer Science"),
            ("volume", "3"),
            ("pages", "e103"),
            ("doi", "10.7717/peerj-cs.103"),
        ),
    ),
}
"""By the names that a result's versions have."""


def software(version: str) -> Reference:
    """nfanneal itself, as in CITATION.cff, which has no year."""
    return Reference(
        "nfanneal",
        "misc",
        f"nfanneal {version}",
        ("The nfanneal developers",),
        "nfanneal: Bayesian parameter estimation and model evidence by annealed normalizing flows",
        "",
        (("note", f"version {version}"),),
    )
