"""The style sheet of the HTML report."""

# Colours have at least the contrast of 4.5 to 1 that WCAG AA asks of text, in both schemes.
CSS = """
:root {
  color-scheme: light dark;
  --page: #ffffff; --panel: #f5f6f8; --line: #d6dae0; --text: #1b1f24; --soft: #57606a;
  --good: #17692f; --good-back: #e3f4e7; --bad: #a8181f; --bad-back: #fde8e8;
  --unsure: #7a5200; --unsure-back: #fdf1d3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --panel: #1d2126; --line: #373d45; --text: #e4e7eb; --soft: #a2abb6;
    --good: #7fd495; --good-back: #173322; --bad: #ff9c98; --bad-back: #431b1d;
    --unsure: #ecc269; --unsure-back: #3a2d10;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 80rem; margin: 0 auto; padding: 1.5rem 1.25rem 4rem; overflow-wrap: anywhere; }
header { border-left: 5px solid; padding: .1rem 0 .1rem 1.1rem; }
header.good { border-color: var(--good); }
header.bad { border-color: var(--bad); }
header.unsure { border-color: var(--unsure); }
header p { margin: .25rem 0; color: var(--soft); }
header .summary { font-size: 1.1rem; color: var(--text); }
h1 { font-size: 1.6rem; line-height: 1.3; margin: 0 0 .4rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .6rem; }
p, ul, ol, dl { margin: .4rem 0; max-width: 72ch; }
ul, ol { padding-left: 1.6rem; }
li { margin: .35rem 0; }
section > ol { max-width: none; }
section > ol > li { margin: 1.25rem 0; }
li > h3 { display: inline; }
li::marker { font-weight: 600; }
.where { font-weight: 400; color: var(--soft); }
.lines, dd, section > ul > li { white-space: pre-line; }
.badge { display: inline-block; padding: 0 .5em; border-radius: 4px; font-size: .85em;
  font-weight: 600; line-height: 1.6; white-space: nowrap; }
.badge.good { color: var(--good); background: var(--good-back); }
.badge.bad { color: var(--bad); background: var(--bad-back); }
.badge.unsure { color: var(--unsure); background: var(--unsure-back); }
pre, td { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { font-size: .82rem; line-height: 1.45; background: var(--panel); padding: .8rem 1rem;
  border: 1px solid var(--line); border-radius: 6px; overflow-x: auto; overflow-wrap: normal; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.25rem; }
dt { color: var(--soft); }
dd { margin: 0; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: .8rem; }
th, td { padding: .4rem .5rem; text-align: left; white-space: nowrap; }
thead th { color: var(--soft); font-weight: 600; background: var(--panel); }
tbody tr { border-top: 1px solid var(--line); }
tbody th { font-weight: 500; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
tr > :first-child { position: sticky; left: 0; background: var(--page); }
thead tr > :first-child { background: var(--panel); }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.maps { columns: 24rem; column-gap: 1.5rem; margin: 1.25rem 0; }
figure { margin: 0 0 1.5rem; padding: 1px; break-inside: avoid; }
details { margin: 1rem 0; }
summary { cursor: pointer; font-size: .9rem; color: var(--soft); }
figcaption { margin-top: .5rem; font-size: .85rem; color: var(--soft); }
figcaption strong { color: var(--text); font-weight: 600; }
.map { position: relative; max-width: 100%; }
.map img { display: block; width: 100%; height: 100%; image-rendering: pixelated;
  outline: 1px solid var(--line); }
.mark { position: absolute; width: 14px; height: 14px; margin: -7px 0 0 -7px; border-radius: 50%;
  border: 2px solid #fff; box-shadow: 0 0 0 1.5px #000, inset 0 0 0 1px #000; }
.legend { font-size: .9rem; color: var(--soft); }
.bar { height: 14px; max-width: 24rem; margin-top: .75rem; outline: 1px solid var(--line); }
.ticks { position: relative; height: 1.5rem; max-width: 24rem; font-size: .8rem; }
.ticks span { position: absolute; transform: translateX(-50%); white-space: nowrap; }
.ticks span:first-child { transform: none; }
.ticks span:last-child { transform: translateX(-100%); }
.swatch { display: inline-block; width: .8em; height: .8em; }
@media (max-width: 40rem) {
  main { padding: 1rem 1rem 3rem; }
  h1 { font-size: 1.35rem; }
  dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .5rem; }
}
@media (prefers-color-scheme: dark) { .map img { outline-color: var(--soft); } }
"""
