//! The page's style: one sheet of A4 in print, light or dark on a screen.

pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6675;--line:#d9dee5;--paper:#fff;--tint:#f3f6fa;--mark:#0b6e99;\
--good:#2c7a3f;--bad:#b3261e}\
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa6b5;--line:#333c48;--paper:#14181e;--tint:#1d232c;\
--mark:#5bb8e0;--good:#6cc381;--bad:#ff8a80}}\
*{box-sizing:border-box}body{font:13px/1.4 system-ui,sans-serif;color:var(--ink);background:var(--paper);\
max-width:58rem;margin:1.2rem auto;padding:0 1rem}h1{font-size:1.35rem;margin:0}h2{font-size:.95rem;margin:0 0 .4rem;\
display:flex;align-items:center;gap:.5rem}h2 small{font-weight:400;color:var(--soft)}p{margin:.25rem 0}\
.meta,.note,dt,th{color:var(--soft)}.note{font-size:.85em}code{font:.9em ui-monospace,monospace;overflow-wrap:anywhere}\
section{border-top:1px solid var(--line);padding:.7rem 0 .5rem;margin-top:.6rem}\
.columns{display:grid;grid-template-columns:1fr 1fr;gap:0 1.6rem}.tiles{display:grid;grid-template-columns:1.25fr 1fr 1fr 1fr;gap:.6rem;\
margin:.4rem 0}.tile{background:var(--tint);border-radius:.4rem;padding:.45rem .7rem}.tile b{display:block;font-size:1.35rem;\
font-variant-numeric:tabular-nums}.tile.main{border-left:4px solid var(--mark)}.tile.none{border-left:4px solid var(--bad)}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .8rem;margin:.2rem 0}dd{margin:0}\
table{border-collapse:collapse;width:100%;margin:.2rem 0}td,th{padding:.1rem .4rem .1rem 0;text-align:left;font-weight:400;\
border-bottom:1px solid var(--line)}.n{text-align:right;font-variant-numeric:tabular-nums}\
.bar{height:.55rem;background:var(--tint);border-radius:.3rem;overflow:hidden;display:flex;margin:.3rem 0}\
.bar i{background:var(--mark)}.bar i+i{opacity:.45}.good{color:var(--good)}.bad{color:var(--bad);font-weight:600}\
svg{width:100%;display:block}text{font-size:10px;fill:var(--soft)}.tick{text-anchor:end}.axis{text-anchor:middle}\
.grid{stroke:var(--line)}.curve{fill:none;stroke:var(--mark);stroke-width:2}.mark{fill:none;stroke:var(--soft);\
stroke-dasharray:3 3}.dot,.on{fill:var(--mark)}.off{fill:var(--line)}.pyramid{width:1.5rem;flex:none}\
@media(max-width:40rem){.columns,.tiles{grid-template-columns:1fr}}\
@page{size:A4;margin:10mm}@media print{:root{color-scheme:light;--ink:#000;--soft:#444;--line:#ccc;--paper:#fff;--tint:#f4f4f4;--mark:#0b6e99;\
--good:#2c7a3f;--bad:#b3261e}body{font-size:10.5px;margin:0;max-width:none;padding:0}section{padding:.4rem 0 .2rem;\
margin-top:.3rem;break-inside:avoid}*{print-color-adjust:exact}}";
