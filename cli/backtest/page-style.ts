/** Light and dark, as the reader's system has it; prints well. */
export const STYLE = `
:root{--bg:#f5f6f8;--card:#fff;--ink:#1c2430;--soft:#667085;--line:#e4e7ec;--up:#067647;--down:#b42318;--warn:#b54708;
--c0:#3b6fd4;--c1:#e08a2e;--c2:#2f9e7a;--c3:#b04a9a;--c4:#7a6ff0;--c5:#c4453c;--c6:#5b8c2a;--c7:#6b7785}
@media(prefers-color-scheme:dark){:root{--bg:#12161c;--card:#1b212a;--ink:#e6e9ee;--soft:#98a2b3;--line:#2d3540;--up:#4cc38a;--down:#ff8a7a;--warn:#f5b566;
--c0:#6f9bf0;--c1:#f0a957;--c2:#56c39d;--c3:#d37fc0;--c4:#a39bff;--c5:#e8786f;--c6:#8fc15b;--c7:#9aa5b1}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:880px;margin:0 auto;padding:32px 16px 64px}
header p{margin:0;color:var(--soft)}header .brand{text-transform:uppercase;letter-spacing:.12em;font-size:12px}
h1{font-size:26px;margin:2px 0 4px}h2{font-size:17px;margin:0 0 12px}h3{font-size:14px;margin:20px 0 6px;color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin:24px 0}
.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:16px 18px}
.tile b{display:block;font-size:26px;font-variant-numeric:tabular-nums}.tile span{color:var(--soft)}
.tile em{float:right;font-style:normal;font-weight:600}.up{color:var(--up)}.down{color:var(--down)}
.card{margin:16px 0;break-inside:avoid}.note,.warn{color:var(--warn)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:6px 10px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:500}th:first-child,td:first-child{text-align:left;padding-left:0}tbody tr:last-child td{border:0}
svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:var(--soft)}
.grid{stroke:var(--line)}line.limit{stroke:var(--down);stroke-dasharray:5 4}text.limit{fill:var(--down)}
polyline{fill:none;stroke-width:2}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 16px;margin:0 0 8px;padding:0;color:var(--soft)}
.legend i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:6px}
${Array.from({ length: 8 }, (_, i) => `.c${i}{fill:var(--c${i})}.s${i}{stroke:var(--c${i})}.b${i}{background:var(--c${i})}`).join('')}
`
