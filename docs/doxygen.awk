# Doxygen's view of the public headers, whose comments are plain: awk -f docs/doxygen.awk api/reprise.h
#   // text                 before a declaration: its documentation; a group of such lines is one
#   // ---- name ----       a group of the API
#   //   name     text      within such a comment: an argument
#   // Errors:  Threads:    paragraphs of their own
#   member;  // text        documentation of the member, and what follows on lines of their own belongs to it
#   X(NAME, "text")         rows of RP_STATUS_LIST: the enum that they make is written out
function close_group() { if (group != "") { print "/// @}"; group = "" } }
FNR == 1 { print "/// @file"; head = 1 }

# The comment that opens the file is the file's.
head && /^\/\// { sub(/^\/\/ ?/, ""); open_text($0); next }
head { head = 0; print "" }
function open_text(text) {
    if (match(text, /^[A-Z][a-z]+: +/)) {
        word = substr(text, 1, index(text, ":") - 1)
        print "/// @par " word
        print "/// " substr(text, RLENGTH + 1)
    } else {
        gsub(/^ +/, "", text)
        print "/// " text
    }
}

/^\/\/ ---- .* ----$/ {
    close_group()
    name = $0
    gsub(/^\/\/ ---- | ----$/, "", name)
    id = tolower(name)
    gsub(/[^a-z]+/, "_", id)
    print "/// @defgroup " id " " toupper(substr(name, 1, 1)) substr(name, 2)
    print "/// @{"
    group = id
    print ""
    next
}
held { held = 0; if ($0 == "}") { close_group() } print "#ifdef __cplusplus" }   # the brace that ends extern "C"
/^#ifdef __cplusplus$/ { held = 1; next }

# Rows of the status list, and the enum made of them.
/^#define RP_STATUS_LIST/ { listing = 1 }
listing && /X\([A-Z_]+, "/ {
    match($0, /X\([A-Z_]+/); status = substr($0, RSTART + 2, RLENGTH - 2)
    text = $0; sub(/^[^"]*"/, "", text); sub(/".*/, "", text)
    rows = rows "    RP_" status ", ///< " text "\n"
    if ($0 !~ /\\$/) { listing = 0 }
    next
}
listing { next }
/^#define X\(name, text\)/ || /^#undef X/ { next }
/^ +RP_STATUS_LIST\(X\)$/ { printf "%s", rows; next }

# What is said once of all of its kind.
/^#define RP_VERSION_/ { print "/// Of this header; rp_version() is the library's." }
/^#define RP_[A-Z_]+_INIT / { print "/// All zero, but for the size: what every " substr($3, 9, length($3) - 9) " starts as." }
/^    size_t struct_size;$/ { print "    size_t struct_size; ///< sizeof this struct, which the _INIT macro sets"; next }

# Whole-line comments before a declaration.
/^\/\/ / {
    text = $0
    sub(/^\/\/ /, "", text)
    if (!within) { print "/// " text; within = 1; said = text; next }
    said = said " " text
    if (match(text, /^  [a-z_]+  +/)) {
        split(text, parts, " ")
        print "/// @param " parts[1] " " substr(text, RLENGTH + 1)
    } else if (text ~ /^(Errors|Threads): /) {
        word = substr(text, 1, index(text, ":") - 1)
        sub(/^[A-Za-z]+: +/, "", text)
        print "/// @par " word
        print "/// " text
    } else {
        sub(/^ +/, "", text)
        print "/// " text
    }
    next
}
# A comment above a run of #defines is that of each.
/^#define / && !within && said != "" && !/ \/\/ / && !/_INIT / { print "/// " said }
!/^#define / { said = "" }
{ within = 0 }

# Several members of one declaration: each has the comment.
/^    [a-z_ 0-9]+ \**[a-z_]+(, \**[a-z_]+)+; *\/\/ / {
    text = $0; sub(/^[^\/]*\/\/ /, "", text)
    declared = $0; sub(/;.*/, "", declared)
    n = split(declared, names, ", ")
    type = names[1]; sub(/\**[a-z_]+$/, "", type); names[1] = substr(names[1], length(type) + 1)
    for (i = 1; i <= n; i++) { printf "%s%s; /**< %s */ ", type, names[i], text }
    print ""
    next
}

# Comments behind a member, and their next lines.
/^ +\/\/ / && trailing { sub(/\/\/ /, "///< "); print; next }
/[;,{a-z0-9A-Z}] +\/\/ / && !/^ *\/\// { sub(/\/\/ /, "///< "); trailing = 1; print; next }
{ trailing = 0; print }
