// Manual pages in the man macros of roff, one for the program and one for each command.
#include "reference.h"
#include "reprise.h"

#include <ctype.h>
#include <string.h>

// Text as roff takes it. At the start of a line a point or an apostrophe would be a request. Where `fill` is set line ends are
// left to roff.
static void put(FILE *out, const char *text, bool fill) {
    bool fresh = true;
    for (; *text; text++) {
        if (fresh && (*text == '.' || *text == '\'')) { fputs("\\&", out); }
        fresh = *text == '\n';
        if (*text == '\\') {
            fputs("\\e", out);
        } else if (*text == '-') {
            fputs("\\-", out);
        } else if (*text == '\n' && fill) {
            fputc('\n', out);
            while (text[1] == ' ') { text++; }   // a leading space would break the line
        } else {
            fputc(*text, out);
        }
    }
}

static void head(FILE *out, const char *title, const char *name, const char *summary) {
    uint32_t v = rp_version();
    fputs(".TH ", out);
    for (const char *c = title; *c; c++) {
        if (*c == '-') { fputc('\\', out); }
        fputc(toupper((unsigned char)*c), out);
    }
    fprintf(out, " 1 \"\" \"reprise %u.%u.%u\" \"Reprise\"\n.SH NAME\n", v >> 16, (v >> 8) & 255, v & 255);
    put(out, name, true);
    fputs(" \\- ", out);
    put(out, summary, true);
    fputc('\n', out);
}

static void put_option(FILE *out, const char *name, const char *value, const char *help) {
    fputs(".TP\n\\fB\\-\\-", out);
    put(out, name, true);
    fputs("\\fR", out);
    if (value) {
        fputs(" \\fI", out);
        put(out, value, true);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    put(out, help, true);
    fputc('\n', out);
}

static void put_example(FILE *out, const char *example) {
    fputs(".SH EXAMPLES\n.nf\n", out);
    put(out, example, false);
    fputs(".fi\n", out);
}

void man_overview(FILE *out, const command *commands, size_t n) {
    head(out, "reprise", "reprise", "forecasts with time-series foundation models");
    fputs(".SH SYNOPSIS\n.B reprise\n.I COMMAND\n[options]\n.SH DESCRIPTION\nRuns time\\-series foundation models from their published files, "
          "on NVIDIA GPUs (CUDA) and on any GPU or CPU (Vulkan).\n.SH COMMANDS\n", out);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, ".TP\n\\fB%s\\fR\n", commands[i].name);
        put(out, commands[i].summary, true);
        fprintf(out, "; see\n.BR reprise\\-%s (1)\n", commands[i].name);
    }
    fputs(".SH OPTIONS\n", out);
    put_option(out, "version", NULL, "the version of the library");
    put_option(out, "help", NULL, "the list of commands; after a command, its options");
    fputs(".SH EXIT STATUS\n0 when all was done, 1 when something failed, 2 when the arguments were wrong; a command that has others "
          "lists them. What was wrong is a sentence on the standard error.\n", out);
}

void man_page(FILE *out, const command *c, const option_set *set) {
    char name[64];
    snprintf(name, sizeof name, "reprise-%s", c->name);
    head(out, name, name, c->summary);
    fprintf(out, ".SH SYNOPSIS\n.B reprise %s\n", c->name);
    put(out, set->usage, true);
    fputs("\n.SH DESCRIPTION\n", out);
    put(out, set->about, true);
    fputs(".SH OPTIONS\nA value may also follow an equals sign:\n.BR \\-\\-name=value .\n", out);
    for (size_t i = 0; i < set->n_options; i++) { put_option(out, set->options[i].name, set->options[i].value, set->options[i].help); }
    put_option(out, "help", NULL, "the same in short");
    put_example(out, set->example);
    fputs(".SH SEE ALSO\n.BR reprise (1)\n", out);
}
