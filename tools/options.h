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
