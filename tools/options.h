// A command's options as a table: parsing, checking and the help page all come from the same rows.
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include "common.h"

typedef struct name_list {
    char **names;
    size_t count;
} name_list;

typedef struct number_list {
    double *numbers;
    size_t count;
} number_list;

typedef enum option_kind {
    OPTION_FLAG,      // bool; takes no value
    OPTION_TEXT,      // const char *, pointing into argv
    OPTION_CHOICE,    // const char *, one of `choices`
    OPTION_COUNT,     // uint32_t, 1 or more
    OPTION_ROW,       // int64_t, not 0; negative counts from the end
    OPTION_SEED,      // uint64_t
    OPTION_NUMBER,    // double, above 0
    OPTION_BYTES,     // uint64_t, 1 or more; K, M, G for powers of 1024
    OPTION_NUMBERS,   // number_list, separated by commas
    OPTION_NAMES,     // name_list, separated by commas
    OPTION_FILES      // name_list: all arguments up to the next option; given again, it adds to the list
} option_kind;

typedef struct option {
    const char *name;         // without the dashes
    option_kind kind;
    void *target;             // keeps its value if the option is absent
    const char *value;        // what help calls the value: "DIR"; NULL for flags
    const char *help;         // lines separated by \n
    const char *choices;      // OPTION_CHOICE: "f32|mixed|auto"
    bool required;
} option;

typedef struct option_set {
    const char *command;
    const char *usage;        // what follows "reprise COMMAND"
    const char *about;        // one paragraph, ends with \n
    const char *example;      // ends with \n
    const option *options;
    size_t n_options;
} option_set;

// Rows that several commands have in the same words; each takes its target.
#define ROW_MODEL(target) { "model", OPTION_TEXT, target, "DIR", \
    "folder with config.json and model.safetensors, or with such folders\n`model` and `tokenizer`", NULL, true }
#define ROW_TOKENIZER(target) { "tokenizer", OPTION_TEXT, target, "DIR", \
    "Kronos: the folder of its tokenizer, where it is not inside --model", NULL, false }
#define ROW_PRECISION(target) { "precision", OPTION_CHOICE, target, "P", \
    "f32, mixed (16-bit operands on matrix units) or auto", PRECISION_CHOICES, false }
#define ROW_TEMPERATURE(target) { "temperature", OPTION_NUMBER, target, "X", \
    "Kronos: above 1 more varied paths, below 1 likelier ones; default 1", NULL, false }
#define ROW_TOP_P(target) { "top-p", OPTION_NUMBER, target, "P", \
    "Kronos: draw among the likeliest tokens that together exceed P; default 1, all", NULL, false }
#define ROW_BLOCK(target) { "block", OPTION_COUNT, target, "N", \
    "Toto 2.0: rows predicted in one pass before their medians are appended,\na multiple of its patch; default: the whole horizon", NULL, false }
#define ROW_FALLBACK_MIN_OBS(target) { "scaler-fallback-min-obs", OPTION_COUNT, target, "N", \
    "Toto 2.0: patches with fewer values before are scaled by the first N", NULL, false }
#define ROW_CAP_K(target) { "quantile-real-cap-k", OPTION_NUMBER, target, "K", \
    "Toto 2.0: quantiles stay within K standard deviations of what the\ncontext spans", NULL, false }

// Reads argv[0 .. argc), which starts after the command's name. Arguments that are no options go to `rest` ([rest_cap]).
// Returns -1 when the command should run, else what the program should exit with: help was asked for and printed, or
// something was wrong and a sentence was printed.
int options_parse(const option_set *set, int argc, char **argv, const char **rest, size_t rest_cap, size_t *n_rest);

// What --help does with a command's tables: prints the page, unless another reader of them takes its place (reference.h).
extern void (*options_help)(const option_set *set);

// Prints a sentence about wrong use with a pointer to --help; returns EXIT_USAGE.
int options_misused(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

void name_list_free(name_list *list);
void number_list_free(number_list *list);

#endif
