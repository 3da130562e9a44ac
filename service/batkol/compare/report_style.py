"""The style of the HTML report: readable in light and dark, on paper and on a telephone, and without colours."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root { color-scheme: light dark; --text: #1b1b1f; --page: #ffffff; --line: #c9c9d2; --quiet: #55555f;
  --wrong: #ffd9d4; --prefix: #fff0b8; --missing: #8a1c10; --extra: #0b5a2a; }
@media (prefers-color-scheme: dark) { :root { --text: #ececf1; --page: #17171b; --line: #44444f; --quiet: #b3b3bf;
  --wrong: #5c201a; --prefix: #4d4109; --missing: #ff9d90; --extra: #7fdca0; } }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 72rem; margin: 0 auto; padding: 1rem; }
h3 { margin: 0 0 .5rem; font-size: 1rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; }
caption { text-align: start; font-weight: bold; padding-block: .25rem; }
th, td { border: 1px solid var(--line); padding: .25rem .5rem; text-align: end; vertical-align: top; }
th[scope=row] { text-align: start; white-space: nowrap; }
section { border-top: 1px solid var(--line); padding-block: 1rem; }
dl { margin: 0; display: grid; grid-template-columns: minmax(6rem, 13rem) 1fr; gap: .25rem 1rem; }
dt { color: var(--quiet); overflow-wrap: anywhere; }
dd { margin: 0; overflow-wrap: anywhere; }
mark { color: inherit; background: var(--prefix); border-radius: .2rem; padding-inline: .15rem; }
mark.wrong { background: var(--wrong); text-decoration: underline wavy; }
mark.prefix { text-decoration: underline dotted; }
mark s { color: var(--quiet); text-decoration: line-through; font-size: .85em; }
del { color: var(--missing); }
ins { color: var(--extra); text-decoration: underline; }
.legend { color: var(--quiet); }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } }
@media print { section { break-inside: avoid; } }
"""
