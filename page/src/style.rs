//! The style of pages and charts: one sheet of A4 in print, light or dark on a screen, narrow or wide.

/// What pages have.
pub(crate) const PAGE: &str = "\
*{box-sizing:border-box}body{font:14px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);\
max-width:72rem;margin:1.2rem auto;padding:0 1rem}h1{font-size:1.35rem;margin:0}h2{font-size:1.05rem;margin:0 0 .4rem;\
display:flex;align-items:center;gap:.5rem}h2 small{font-weight:400;color:var(--soft)}h3{font-size:1rem;margin:.2rem 0}\
p{margin:.25rem 0}a{color:var(--mark)}.meta,.note,dt,thead th,caption{color:var(--soft)}.note{font-size:.85em}\
code{font:.9em ui-monospace,monospace;overflow-wrap:anywhere}\
section{border-top:1px solid var(--line);padding:.7rem 0 .5rem;margin-top:.6rem}\
.columns{display:grid;grid-template-columns:1fr 1fr;gap:0 1.6rem}.columns>*{min-width:0}\
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));gap:.8rem 1.4rem;margin:.6rem 0}\
.hospitals{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,28rem),1fr));gap:0 1.6rem}\
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr));gap:.6rem;margin:.6rem 0}\
.tiles{display:grid;grid-template-columns:1.25fr 1fr 1fr 1fr;gap:.6rem;\
margin:.4rem 0}.tile{background:var(--tint);border-radius:.4rem;padding:.45rem .7rem}.tile b{display:block;font-size:1.35rem;\
font-variant-numeric:tabular-nums}.tile.main{border-left:4px solid var(--mark)}.tile.none{border-left:4px solid var(--bad)}\
.tile span{display:block}.price{background:var(--tint);border-radius:.4rem;padding:.45rem .7rem}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .8rem;margin:.2rem 0}dd{margin:0}\
.wide{overflow-x:auto;margin:.4rem 0}table{border-collapse:collapse;width:100%}caption{text-align:left;font-size:.85em}\
td,th{padding:.1rem .7rem .1rem 0;text-align:left;font-weight:400;white-space:nowrap;border-bottom:1px solid var(--line)}\
.n{text-align:right;font-variant-numeric:tabular-nums}.total{background:var(--tint)}.total>*{font-weight:600}\
.good{color:var(--good)}.bad{color:var(--bad);font-weight:600}svg{width:100%;height:auto;display:block}\
.pyramid{width:1.5rem;flex:none}.on{fill:var(--mark)}.off{fill:var(--line)}\
@media(max-width:40rem){.columns,.tiles{grid-template-columns:1fr}dl{grid-template-columns:1fr}dt{margin-top:.3rem}}\
@page{size:A4;margin:10mm}@media print{body{font-size:10.5px;margin:0;max-width:none;padding:0}\
section{padding:.4rem 0 .2rem;margin-top:.3rem}svg,tr,.tile{break-inside:avoid}*{print-color-adjust:exact}}";

/// What charts have, on a page and as files of their own; series differ in colour and in dashes.
pub(crate) const CHARTS: &str = "\
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#d9dee5;--paper:#fff;--tint:#f3f6fa;--mark:#0b6e99;\
--good:#2c7a3f;--bad:#b3261e;--c0:#0b6e99;--c1:#c4512d;--c2:#3a7d44;--c3:#7d4fa0;--c4:#8a6d00;--c5:#a02050;--c6:#4a5568}\
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--line:#333c48;--paper:#14181e;--tint:#1d232c;\
--mark:#5bb8e0;--good:#6cc381;--bad:#ff8a80;--c0:#5bb8e0;--c1:#f0916d;--c2:#7cc98a;--c3:#c49be6;--c4:#d9b84a;--c5:#f07fa8;\
--c6:#aab4c2}}\
@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#ccc;--paper:#fff;--tint:#f4f4f4;--mark:#0b6e99;\
--good:#2c7a3f;--bad:#b3261e;--c0:#0b6e99;--c1:#c4512d;--c2:#3a7d44;--c3:#7d4fa0;--c4:#8a6d00;--c5:#a02050;--c6:#4a5568}}\
.chart{font-family:system-ui,sans-serif;max-width:27rem}.chart text{font-size:10.5px;fill:var(--soft)}.chart .title{font-size:11.5px;\
fill:var(--ink);font-weight:600}.chart .name{fill:var(--ink)}.end{text-anchor:end}.middle{text-anchor:middle}\
.paper{fill:var(--paper)}.grid{stroke:var(--line);fill:none}.guide{stroke:var(--soft);stroke-dasharray:3 3;fill:none}.dot{fill:var(--mark)}\
.series{fill:none;stroke:currentColor;stroke-width:1.8;stroke-linejoin:round}.point{fill:currentColor}\
.band{fill:currentColor;opacity:.16}.part{fill:currentColor}.outline{fill:none;stroke:currentColor;stroke-width:1.6;\
vector-effect:non-scaling-stroke}.pixels{image-rendering:pixelated}\
.s0{color:var(--c0)}.s1{color:var(--c1);stroke-dasharray:7 3}.s2{color:var(--c2);stroke-dasharray:2 3}\
.s3{color:var(--c3);stroke-dasharray:8 3 2 3}.s4{color:var(--c4);stroke-dasharray:4 2}.s5{color:var(--c5);stroke-dasharray:1 3}\
.s6{color:var(--c6);stroke-dasharray:10 4}.part,.point,.band{stroke:none}.outline{stroke-dasharray:none}";
