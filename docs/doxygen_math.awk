# Doxygen's view of the pages: formulas, between dollars as forges show them, become its own. Code is left alone.
/^```/ { code = !code }
!code { $0 = formulas($0) }
{ print }
function formulas(line,    out) {
    while (match(line, /\$[^$`]+\$/)) {
        out = out substr(line, 1, RSTART - 1) "\\f$" substr(line, RSTART + 1, RLENGTH - 2) "\\f$"
        line = substr(line, RSTART + RLENGTH)
    }
    return out line
}
