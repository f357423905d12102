// Completions for bash and zsh.
#include "reference.h"

#include <string.h>

// ---- bash ----

static void bash_words(FILE *out, const char *words) {   // a|b|c -> a b c
    for (; *words; words++) { fputc(*words == '|' ? ' ' : *words, out); }
}

void bash_begin(FILE *out, const command *commands, size_t n) {
    fputs("# bash completion for reprise; written by the build from the program's own tables\n"
          "_reprise() {\n"
          "    local cur prev command options= words=\n"
          "    cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
          "    COMPREPLY=()\n"
          "    # bash makes words of `--name=value` too\n"
          "    if [ \"$cur\" = = ]; then cur=; elif [ \"$prev\" = = ]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
          "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
          "        COMPREPLY=($(compgen -W \"", out);
    for (size_t i = 0; i < n; i++) { fprintf(out, "%s ", commands[i].name); }
    fputs("--help --version\" -- \"$cur\"))\n        return\n    fi\n    case $command in\n", out);
}

void bash_command(FILE *out, const command *c, const option_set *set) {
    fprintf(out, "    %s)\n        options=\"", c->name);
    for (size_t i = 0; i < set->n_options; i++) { fprintf(out, "--%s ", set->options[i].name); }
    fputs("--help\"\n        case $prev in\n", out);
    for (size_t i = 0; i < set->n_options; i++) {
        const option *opt = &set->options[i];
        const char *words;
        if (opt->kind == OPTION_FLAG) { continue; }
        fprintf(out, "        --%s) ", opt->name);
        switch (reference_value(opt, &words)) {
        case VALUE_WORDS:
            fputs("words=\"", out);
            bash_words(out, words);
            fputs("\"", out);
            break;
        case VALUE_FILE: fputs("words=:files", out); break;
        case VALUE_FOLDER: fputs("words=:folders", out); break;
        case VALUE_OTHER: fputs("words=:none", out); break;
        }
        fputs(" ;;\n", out);
    }
    fputs("        esac ;;\n", out);
}

void bash_end(FILE *out) {
    fputs("    esac\n"
          "    case $words in\n"
          "    :none) ;;\n"
          "    :folders) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
          "    \"\"|:files)\n"
          "        if [ -z \"$words\" ] && [ \"${cur:0:1}\" = - ]; then\n"
          "            COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
          "        else\n"
          "            compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
          "        fi ;;\n"
          "    *) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n"
          "    esac\n"
          "}\n"
          "complete -F _reprise reprise\n", out);
}

// ---- zsh ----

// Inside single quotes, and where `spec` is set inside an _arguments spec, in which brackets and colons mean something.
static void zsh_text(FILE *out, const char *text, size_t length, bool spec) {
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\'') {
            fputs("'\\''", out);
        } else {
            if (text[i] == '\\' || (spec && strchr("[]:", text[i])) || (!spec && text[i] == ':')) { fputc('\\', out); }
            fputc(text[i], out);
        }
    }
}

void zsh_begin(FILE *out, const command *commands, size_t n) {
    fputs("#compdef reprise\n# written by the build from the program's own tables\n_reprise() {\n    local -a commands\n    commands=(\n", out);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "        '%s:", commands[i].name);
        zsh_text(out, commands[i].summary, strlen(commands[i].summary), false);
        fputs("'\n", out);
    }
    fputs("    )\n"
          "    if (( CURRENT == 2 )); then\n"
          "        _describe command commands\n"
          "        compadd -- --help --version\n"
          "        return\n"
          "    fi\n"
          "    local command=$words[2]\n"
          "    shift words\n"
          "    (( CURRENT-- ))\n"
          "    case $command in\n", out);
}

void zsh_command(FILE *out, const command *c, const option_set *set) {
    fprintf(out, "    %s)\n        _arguments", c->name);
    for (size_t i = 0; i < set->n_options; i++) {
        const option *opt = &set->options[i];
        const char *words;
        fprintf(out, " \\\n            '--%s%s[", opt->name, opt->kind == OPTION_FLAG ? "" : "=");
        zsh_text(out, opt->help, strcspn(opt->help, "\n"), true);
        fputc(']', out);
        if (opt->kind != OPTION_FLAG) {
            fputc(':', out);
            zsh_text(out, opt->value, strlen(opt->value), true);
            switch (reference_value(opt, &words)) {
            case VALUE_WORDS:
                fputs(":(", out);
                bash_words(out, words);
                fputc(')', out);
                break;
            case VALUE_FILE: fputs(":_files", out); break;
            case VALUE_FOLDER: fputs(":_files -/", out); break;
            case VALUE_OTHER: fputs(": ", out); break;
            }
        }
        fputc('\'', out);
    }
    fputs(" \\\n            '--help[this command'\\''s options]' '*:file:_files' ;;\n", out);
}

void zsh_end(FILE *out) { fputs("    esac\n}\n_reprise \"$@\"\n", out); }
