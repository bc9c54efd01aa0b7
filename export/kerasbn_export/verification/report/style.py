"""How the page looks: one sheet, light and dark by the reader's system, nothing loaded."""

STYLE = """
:root { color-scheme: light dark; --page: #fbfbfa; --card: #ffffff; --ink: #1b1f24; --muted: #59626d; --grid: #e2e5e9;
  --axis: #9aa3ad; --reference: #2467ad; --candidate: #b4540f; --error: #55606c; --equal: #1c7347; --differs: #b42f26;
  --unproven: #7d5a00; --moved: #6a55a8; }
@media (prefers-color-scheme: dark) { :root { --page: #14171a; --card: #1b1f23; --ink: #e9ebee; --muted: #a4adb8;
  --grid: #2d333a; --axis: #6b7580; --reference: #74b3f2; --candidate: #f0a45f; --error: #b3bcc7; --equal: #62ca92;
  --differs: #ff8a80; --unproven: #e3b54a; --moved: #b8a6f5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 1.5rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 15px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { margin: .4rem 0 .6rem; font-size: 1.45rem; line-height: 1.3; overflow-wrap: anywhere; }
h2 { margin: 2.6rem 0 .5rem; padding-top: .9rem; border-top: 1px solid var(--grid); font-size: 1.15rem; }
h3 { margin: 1.6rem 0 .3rem; font-size: 1rem; }
p { margin: .4rem 0; max-width: 50rem; overflow-wrap: anywhere; }
.muted { color: var(--muted); }
.answer { display: inline-block; padding: .1rem .7rem; border: 1px solid currentColor; border-radius: 1rem;
  font-weight: 600; }
.equal { color: var(--equal); } .differs { color: var(--differs); } .unproven, .unjudged { color: var(--unproven); }
.moved { color: var(--moved); }
.verdict { margin: .8rem 0; padding: .7rem 1rem; border-left: 4px solid; background: var(--card); max-width: none; }
.verdict p { color: var(--ink); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem; margin: 1rem 0; }
dl div { padding: .5rem .8rem; border: 1px solid var(--grid); border-radius: 6px; background: var(--card); }
dt { color: var(--muted); font-size: .82rem; } dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } .tall { max-height: 56rem; overflow: auto; }
.head { position: sticky; top: 0; min-width: 46rem; background: var(--card); }
table { border-collapse: collapse; width: 100%; min-width: 44rem; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--muted); font-weight: 600; border-bottom: 1px solid var(--axis); }
td { border-bottom: 1px solid var(--grid); overflow-wrap: anywhere; min-width: 4.5rem; }
th, td { padding: .3rem .7rem .3rem 0; vertical-align: top; }
td.number, th.number { text-align: right; white-space: nowrap; }
figure { margin: .8rem 0; padding: .7rem .9rem .4rem; border: 1px solid var(--grid); border-radius: 6px;
  background: var(--card); }
figcaption { font-weight: 600; } figcaption .muted { font-weight: 400; font-size: .88rem; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(27rem, 100%), 1fr)); gap: 0 1rem; }
.images { display: flex; flex-wrap: wrap; gap: .6rem 1.2rem; padding: .5rem 0; }
.images div { font-size: .85rem; } .images img { display: block; width: 11rem; height: auto; image-rendering: pixelated;
  border: 1px solid var(--grid); background: #000; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .1rem 0 .2rem; font-size: .88rem;
  font-weight: 400; }
.legend svg { display: inline-block; width: 1.4rem; height: .8rem; vertical-align: -.05rem; }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--muted); }
svg { display: block; width: 100%; height: auto; }
svg text { font: 12px system-ui, "Segoe UI", Roboto, sans-serif; fill: var(--ink); font-variant-numeric: tabular-nums; }
svg text.tick, svg text.unit { fill: var(--muted); }
svg text.differs { fill: var(--differs); font-weight: 600; } svg text.moved { fill: var(--moved); }
.grid { stroke: var(--grid); } .axis { stroke: var(--axis); } .gate { stroke: var(--ink); stroke-dasharray: 4 3; }
.row { fill: transparent; } g:hover > .row { fill: var(--grid); fill-opacity: .5; }
.bar { fill: var(--error); } .bar.differs { fill: var(--differs); }
.area { fill: var(--reference); fill-opacity: .22; }
.line { fill: none; stroke-width: 1.75; stroke-linejoin: round; }
.line.reference { stroke: var(--reference); } .line.candidate { stroke: var(--candidate); }
.line.error { stroke: var(--error); }
.dot { fill: var(--error); stroke: var(--card); stroke-width: 1; } .dot.differs { fill: var(--differs); }
.dot.reference { fill: var(--reference); } .dot.candidate { fill: var(--candidate); } .dot.moved { fill: var(--moved); }
.ring { fill: var(--card); stroke: var(--error); stroke-width: 1.75; } .ring.differs { stroke: var(--differs); }
.ring.moved { stroke: var(--moved); } .stem { stroke: var(--error); stroke-width: 1.5; }
.stem.differs { stroke: var(--differs); } .stem.moved { stroke: var(--moved); }
@media print { .tall { max-height: none; } details > * { display: block; } }
"""
