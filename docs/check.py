"""Check what the documents say against the disk: the README's file tree and results, docs/results.md and its pictures, links.

python docs/check.py            exits 1 and names each difference
python docs/check.py --write    writes the tree anew, from the first line of each file's docstring, and the results
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from benchmarks import tables  # noqa: E402 - found by the line before

README = ROOT / "README.md"
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#]+)")
TREE = re.compile(r"(<!-- tree -->\n```\n)(.*?)(```\n)", re.DOTALL)


def python_files() -> list[str]:
    """Python files that git tracks or would track, save tests."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted(name for name in names if not name.startswith("tests/") and (ROOT / name).exists())


def tree(files: Iterable[str]) -> Iterator[str]:
    """The file tree, line by line: folders by their name, files with the first sentence of their docstring."""
    shown: list[str] = []
    for name in files:
        *folders, file = name.split("/")
        common = next(
            (i for i, (a, b) in enumerate(zip(shown, folders, strict=False)) if a != b), min(len(shown), len(folders))
        )
        for depth, folder in enumerate(folders[common:], common):
            yield f"{'  ' * depth}{folder}/\n"
        shown = folders
        words = (ast.get_docstring(ast.parse((ROOT / name).read_text(encoding="utf-8"))) or "").split("\n")[0]
        yield f"{'  ' * len(folders) + file:<24} {words.replace('``', '').rstrip('.')}\n"


def broken_links() -> list[str]:
    """Relative links in Markdown that lead nowhere."""
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")]
    return [
        f"{document.relative_to(ROOT)}: {target} isn't there"
        for document in documents
        for target in LINK.findall(document.read_text(encoding="utf-8"))
        if not (document.parent / target).exists()
    ]


def main(arguments: list[str]) -> int:
    """Print the differences; 0 if there are none."""
    text = README.read_text(encoding="utf-8")
    real = "".join(tree(python_files()))
    if arguments == ["--write"]:
        README.write_text(TREE.sub(lambda found: found[1] + real + found[3], text), encoding="utf-8")
        tables.write()
        return 0
    said = TREE.search(text)
    problems = broken_links()
    if said is None or said[2] != real:
        missing = set(real.splitlines()) ^ set(said[2].splitlines() if said else ())
        problems += ["README.md: the file tree isn't the disk's; python docs/check.py --write mends it:", *sorted(missing)]
    for path, made in tables.documents().items():
        if not path.exists() or path.read_text(encoding="utf-8") != made:
            name = path.relative_to(ROOT)
            problems.append(f"{name}: isn't what was measured; python docs/check.py --write mends it")
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
