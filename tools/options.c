// The option parser: long options as `--name value` or `--name=value`; see options.h.
#include "options.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void name_list_free(name_list *list) {
    for (size_t i = 0; i < list->count; i++) { free(list->names[i]); }
    free(list->names);
    *list = (name_list){ 0 };
}

void number_list_free(number_list *list) {
    free(list->numbers);
    *list = (number_list){ 0 };
}

int options_misused(const char *command, const char *format, ...) {
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    complain("%s", text);
    fprintf(stderr, "see: reprise %s --help\n", command);
    return EXIT_USAGE;
}

// ---- help ----

static void print_option(const option *opt) {
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", opt->name, opt->value ? " " : "", opt->value ? opt->value : "");
    printf("  %-25s ", left);
    if (strlen(left) > 25) { printf("\n%28s", ""); }   // what it means then begins on the next line
    const char *line = opt->help;
    for (;;) {
        size_t length = strcspn(line, "\n");
        printf("%s%.*s\n", line == opt->help ? "" : "                            ", (int)length, line);
        if (line[length] == 0) { break; }
        line += length + 1;
    }
}

static void print_help(const option_set *set) {
    printf("usage: reprise %s %s\n\n%s", set->command, set->usage, set->about);
    if (set->n_options) { printf("\n"); }
    for (size_t i = 0; i < set->n_options; i++) { print_option(&set->options[i]); }
    printf("  %-26s%s\n", "--help", "this page");
    printf("\nexample:\n%s", set->example);
}

void (*options_help)(const option_set *set) = print_help;

// ---- values ----

static bool read_unsigned(const char *text, uint64_t largest, uint64_t *out, const char **rest) {
    char *end;
    if (*text < '0' || *text > '9') { return false; }   // strtoull would take a sign and spaces
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || value > largest) { return false; }
    *out = value;
    *rest = end;
    return true;
}

static bool read_bytes(const char *text, uint64_t *out) {
    const char *rest;
    if (!read_unsigned(text, UINT64_MAX, out, &rest)) { return false; }
    uint64_t unit = 1;
    switch (*rest) {
    case 'k': case 'K': unit = 1ull << 10; rest++; break;
    case 'm': case 'M': unit = 1ull << 20; rest++; break;
    case 'g': case 'G': unit = 1ull << 30; rest++; break;
    default: break;
    }
    if (*rest != 0 || *out == 0 || *out > UINT64_MAX / unit) { return false; }
    *out *= unit;
    return true;
}

static bool read_number(const char *text, double *out) {
    char *end;
    *out = strtod(text, &end);   // the program never calls setlocale, so this reads points
    return end != text && *end == 0 && isfinite(*out) && *out > 0;
}

static bool read_numbers(const char *text, number_list *out) {
    number_list_free(out);
    for (;;) {
        char *end;
        double number = strtod(text, &end);   // the program never calls setlocale, so this reads points
        if (end == text || (*end != 0 && *end != ',') || !isfinite(number)) { return false; }
        out->numbers = take_again(out->numbers, out->count + 1, sizeof *out->numbers);
        out->numbers[out->count++] = number;
        if (*end == 0) { return true; }
        text = end + 1;
    }
}

static bool read_names(const char *text, name_list *out) {
    name_list_free(out);
    for (;;) {
        size_t length = strcspn(text, ",");
        if (length == 0) { return false; }
        char *name = take(length + 1, 1);
        memcpy(name, text, length);
        out->names = take_again(out->names, out->count + 1, sizeof *out->names);
        out->names[out->count++] = name;
        if (text[length] == 0) { return true; }
        text += length + 1;
    }
}

static bool add_name(const char *text, name_list *out) {
    if (*text == 0) { return false; }
    out->names = take_again(out->names, out->count + 1, sizeof *out->names);
    out->names[out->count++] = take_text(text);
    return true;
}

static bool read_choice(const char *text, const char *choices) {
    size_t length = strlen(text);
    for (const char *at = choices; *at;) {
        size_t n = strcspn(at, "|");
        if (n == length && memcmp(at, text, n) == 0) { return true; }
        at += n + (at[n] == '|');
    }
    return false;
}

// Stores the value; on failure says in `wanted` what would have been right.
static bool store(const option *opt, const char *text, const char **wanted) {
    const char *rest;
    uint64_t number;
    switch (opt->kind) {
    case OPTION_FLAG: *(bool *)opt->target = true; return true;
    case OPTION_TEXT:
        *wanted = "something that is not empty";
        *(const char **)opt->target = text;
        return *text != 0;
    case OPTION_CHOICE:
        *wanted = opt->choices;
        *(const char **)opt->target = text;
        return read_choice(text, opt->choices);
    case OPTION_COUNT:
        *wanted = "a whole number from 1 to 4294967295";
        if (!read_unsigned(text, UINT32_MAX, &number, &rest) || *rest || number == 0) { return false; }
        *(uint32_t *)opt->target = (uint32_t)number;
        return true;
    case OPTION_ROW:
        *wanted = "a whole number that is not 0; negative counts from the end";
        if (!read_unsigned(text + (*text == '-'), INT64_MAX, &number, &rest) || *rest || number == 0) { return false; }
        *(int64_t *)opt->target = *text == '-' ? -(int64_t)number : (int64_t)number;
        return true;
    case OPTION_SEED:
        *wanted = "a whole number from 0 to 18446744073709551615";
        return read_unsigned(text, UINT64_MAX, opt->target, &rest) && *rest == 0;
    case OPTION_NUMBER:
        *wanted = "a number above 0";
        return read_number(text, opt->target);
    case OPTION_BYTES:
        *wanted = "a whole number of bytes, K, M or G such as 2G";
        return read_bytes(text, opt->target);
    case OPTION_NUMBERS: *wanted = "numbers separated by commas"; return read_numbers(text, opt->target);
    case OPTION_NAMES: *wanted = "names separated by commas"; return read_names(text, opt->target);
    case OPTION_FILES: *wanted = "names of files"; return add_name(text, opt->target);
    }
    return false;
}

// ---- arguments ----

static int unknown_option(const option_set *set, const char *word) {
    const char **names = take(set->n_options + 1, sizeof *names);
    for (size_t i = 0; i < set->n_options; i++) { names[i] = set->options[i].name; }
    names[set->n_options] = "help";
    const char *near = nearest_name(word, names, set->n_options + 1);
    free(names);
    if (near) { return options_misused(set->command, "there is no option --%s; did you mean --%s?", word, near); }
    return options_misused(set->command, "there is no option --%s", word);
}

int options_parse(const option_set *set, int argc, char **argv, const char **rest, size_t rest_cap, size_t *n_rest) {
    bool *given = take(set->n_options, sizeof *given);
    int result = -1;
    if (n_rest) { *n_rest = 0; }
    for (int i = 0; i < argc && result < 0; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            options_help(set);
            result = EXIT_DONE;
            break;
        }
        if (strncmp(word, "--", 2) != 0) {
            if (word[0] == '-' && word[1] != 0) {
                result = options_misused(set->command, "there is no option %s; options begin with two dashes", word);
            } else if (n_rest && *n_rest < rest_cap) {
                rest[(*n_rest)++] = word;
            } else if (rest_cap) {
                result = options_misused(set->command, "'%s' is one argument too many; %zu are read", word, rest_cap);
            } else {
                result =
                    options_misused(set->command, "'%s' belongs to no option; %s reads options only", word, set->command);
            }
            continue;
        }
        char name[64];
        size_t length = strcspn(word + 2, "=");
        snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : sizeof name - 1), word + 2);
        const char *value = word[2 + length] == '=' ? word + 3 + length : NULL;
        size_t which = 0;
        while (which < set->n_options && strcmp(set->options[which].name, name) != 0) { which++; }
        if (which == set->n_options) {
            result = unknown_option(set, name);
            continue;
        }
        const option *opt = &set->options[which];
        if (opt->kind == OPTION_FLAG) {
            if (value) {
                result = options_misused(set->command, "--%s takes no value, but has '%s'", name, value);
                continue;
            }
        } else if (!value) {
            if (i + 1 == argc || strncmp(argv[i + 1], "--", 2) == 0) {
                result = options_misused(set->command, "--%s lacks its value (%s)", name, opt->value);
                continue;
            }
            value = argv[++i];
        }
        const char *wanted = "";
        if (!store(opt, value, &wanted)) {
            result = options_misused(set->command, "--%s cannot be '%s'; it wants %s", name, value, wanted);
        }
        while (opt->kind == OPTION_FILES && result < 0 && i + 1 < argc && strncmp(argv[i + 1], "-", 1) != 0) {
            value = argv[++i];
            if (!store(opt, value, &wanted)) {
                result = options_misused(set->command, "--%s cannot be '%s'; it wants %s", name, value, wanted);
            }
        }
        given[which] = true;
    }
    for (size_t i = 0; i < set->n_options && result < 0; i++) {
        if (set->options[i].required && !given[i]) {
            result = options_misused(set->command, "--%s %s is missing", set->options[i].name, set->options[i].value);
        }
    }
    free(given);
    return result;
}
