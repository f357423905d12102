// The style sheet of the page: every colour once for light and once for dark. Bands light to dark blue, what happened in
// vermilion: apart for the colour-blind too (after Okabe and Ito), as in the pictures of `reprise forecast`.
#ifndef TOOLS_REPORT_STYLE_H
#define TOOLS_REPORT_STYLE_H

static const char report_style[] =
    ":root{color-scheme:light dark;--page:#fff;--card:#f6f7f8;--ink:#202328;--faint:#666b73;--grid:#e2e4e7;--axis:#9a9fa6;"
    "--actual:#d65405;--model:#084d94;--b50:#80abd6;--b80:#aecce8;--b90:#d6e6f5;--seasonal:#00805c;--last:#a65b94;--each:#b9cde2;"
    "--good:#00704f;--bad:#b3261e}\n"
    "@media(prefers-color-scheme:dark){:root{--page:#15171a;--card:#1e2125;--ink:#e4e6e9;--faint:#9aa0a8;--grid:#2c3035;--axis:#5c626a;"
    "--actual:#ff9147;--model:#8fc1f5;--b50:#3f6c9c;--b80:#2c4d72;--b90:#203750;--seasonal:#4fc9a0;--last:#dd9bcb;--each:#3d5269;"
    "--good:#5fd3a8;--bad:#ff8a80}}\n"
    "*{box-sizing:border-box}body{margin:0 auto;max-width:76rem;padding:1.5rem 1rem 4rem;background:var(--page);color:var(--ink);"
    "font:15px/1.5 system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif}\n"
    "h1{font-size:1.6rem;margin:0 0 .2rem}h2{font-size:1.2rem;margin:2.2rem 0 .6rem}h3{font-size:1rem;margin:1.6rem 0 .4rem}"
    "p{margin:.3rem 0}.faint,figcaption,small{color:var(--faint)}.good{color:var(--good)}.bad{color:var(--bad)}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.7rem;margin:1.2rem 0}"
    ".tiles div{background:var(--card);border-radius:.5rem;padding:.6rem .8rem}.tiles b{display:block;font-size:1.45rem;line-height:1.3}"
    ".tiles small{display:block;line-height:1.35}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.82rem;font-variant-numeric:tabular-nums}"
    "th,td{padding:.28rem .35rem;text-align:right;border-bottom:1px solid var(--grid)}td{white-space:nowrap}"
    "th{vertical-align:bottom;line-height:1.25}th:nth-last-child(-n+4){white-space:nowrap}"
    "th:first-child,td:first-child,.left{text-align:left}thead th{color:var(--faint);font-weight:600}tr.total td{font-weight:700}\n"
    ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(22rem,100%),1fr));gap:1rem}figure{margin:.6rem 0}"
    "figcaption{font-size:.85rem}figcaption b{color:var(--ink)}figure>svg{width:100%;height:auto;display:block}"
    ".key{white-space:nowrap;margin-right:.9em}.key svg{width:28px;height:12px;margin-right:.35em;vertical-align:-1px}\n"
    "details{border-top:1px solid var(--grid);padding:.5rem 0}summary{cursor:pointer;font-weight:600}dl{display:grid;"
    "grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.5rem 0}dt{color:var(--faint)}dd{margin:0}\n"
    "svg text{font-size:12px;fill:var(--faint)}svg path{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}"
    "svg .grid{stroke:var(--grid);stroke-width:1}svg .axis{stroke:var(--axis);stroke-width:1}"
    "svg .origin{stroke:var(--axis);stroke-width:1;stroke-dasharray:2 4}svg .actual{stroke:var(--actual)}"
    "svg .median,svg .model{stroke:var(--model);stroke-width:2.2}svg .seasonal{stroke:var(--seasonal);stroke-dasharray:6 4}"
    "svg .last{stroke:var(--last);stroke-dasharray:2 4}svg .ideal{stroke:var(--axis);stroke-width:1.2;stroke-dasharray:5 4}"
    "svg .each{stroke:var(--each);stroke-width:1.2}svg .dot{fill:var(--model)}svg .bar{fill:var(--b50)}"
    "svg path.band50{fill:var(--b50)}svg path.band80{fill:var(--b80)}svg path.band90{fill:var(--b90)}\n"
    "@media print{body{max-width:none}details{break-inside:avoid}}\n";

#endif
