#!/bin/sh
# The manual pages and completions say what --help says: every command, every option, every choice.
#   reference.sh PROGRAM REFERENCE_FOLDER
set -u
reprise=$(realpath "$1") reference=$(realpath "$2")
die() {
    echo "reference: $*" >&2
    exit 1
}
commands=$("$reprise" --help | awk '/^  [a-z]/ { print $1 } /^example/ { exit }')
[ -n "$commands" ] || die "--help lists no commands"

# ---- manual pages ----
for page in "" $(printf -- '-%s ' $commands); do
    man=$reference/man1/reprise$page.1
    [ -s "$man" ] || die "there is no page $man"
    if command -v groff >/dev/null; then
        complaint=$(groff -man -Tutf8 -ww -z "$man" 2>&1)
        [ -z "$complaint" ] || die "groff: $complaint"
    fi
done
for command in $commands; do
    grep -qF "reprise\\-$command" "$reference/man1/reprise.1" || die "reprise.1 does not name $command"
done

# ---- bash: what Tab offers ----
offers() {   # offers WORD ...: the last one is being typed
    bash -c '. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _reprise; printf "%s\n" "${COMPREPLY[@]}"' "$reference/reprise" "$@" 2>/dev/null |
        sort | tr '\n' ' '
}
[ "$(offers reprise "" )" = "$(printf '%s\n' $commands --help --version | sort | tr '\n' ' ')" ] || die "bash offers other commands: $(offers reprise "")"
for command in $commands; do
    options=$("$reprise" $command --help | awk '/^  --/ { print $1 }' | sort)
    [ "$(offers reprise $command --)" = "$(echo "$options" | tr '\n' ' ')" ] || die "bash offers for $command: $(offers reprise $command --)"
    for option in $options; do
        name=$(printf '%s' "${option#--}" | sed 's/-/\\\\-/g')
        grep -q "^.fB.-.-$name.fR" "$reference/man1/reprise-$command.1" || die "the page of $command lacks $option"
        zsh_name=$(printf '%s' "$option" | sed 's/-/[-]/g')
        awk -v c="    $command)" '$0 == c { on = 1 } on { print } on && /;;$/ { exit }' "$reference/_reprise" |
            grep -qE "'$zsh_name(=?\[)" || die "zsh's completion of $command lacks $option"
    done
done
[ "$(offers reprise forecast --precision m)" = "mixed " ] || die "bash does not complete --precision m"
[ "$(offers reprise forecast --precision = m)" = "mixed " ] || die "bash does not complete --precision=m"
[ "$(offers reprise forecast --horizon "" | tr -d ' ')" = "" ] || die "bash offers something for a number"
here=$(mktemp -d) || exit 1
trap 'rm -rf "$here"' EXIT
mkdir "$here/folder one" && : >"$here/file.csv"
cd "$here" || exit 1
[ "$(offers reprise forecast --model "f")" = "folder one " ] || die "bash offers for --model: $(offers reprise forecast --model f)"
[ "$(offers reprise forecast --input "f")" = "file.csv folder one " ] || die "bash offers for --input: $(offers reprise forecast --input f)"

# ---- zsh: what it hands to its own machinery, where it is installed ----
if command -v zsh >/dev/null; then
    stubs='_describe() { print -l -- ${commands%%:*}; }; compadd() { }; _arguments() { print -l -- "$@"; }'
    zsh -fc "$stubs"'; words=(reprise ""); CURRENT=2; . "$0"' "$reference/_reprise" | sort >"$here/got"
    printf '%s\n' $commands | sort | cmp -s - "$here/got" || die "zsh offers other commands: $(cat "$here/got")"
    for command in $commands; do
        zsh -fc "$stubs"'; words=(reprise $1 ""); CURRENT=3; . "$0"' "$reference/_reprise" $command >"$here/got" || die "zsh fails on $command"
        "$reprise" $command --help | awk '/^  --/ { print $1 }' | while read -r option; do
            grep -qE -e "^$option(=?\[)" "$here/got" || { echo "reference: zsh does not offer $option for $command" >&2; exit 1; }
        done || exit 1
    done
else
    echo "reference: no zsh here, so its completion was compared as text only"
fi
echo "reference: all is well"
