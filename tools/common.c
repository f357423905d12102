// Small helpers of the program; see common.h.
#define _POSIX_C_SOURCE 200809L
#include "common.h"
#include "platform.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool message_set(message *error, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return false;
}

static void say(const char *opening, const char *format, va_list args) {
    fflush(stdout);   // keeps the order when both streams end in one place
    fputs(opening, stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void complain(const char *format, ...) {
    va_list args;
    va_start(args, format);
    say("reprise: ", format, args);
    va_end(args);
}

void note(const char *format, ...) {
    va_list args;
    va_start(args, format);
    say("note: ", format, args);
    va_end(args);
}

static void *had(void *memory, size_t count, size_t size) {
    if (!memory) {
        complain("this machine could not give %zu times %zu bytes of memory; forecast fewer rows or columns", count, size);
        exit(EXIT_FAILED);
    }
    return memory;
}

void *take(size_t count, size_t size) {
    // calloc may return NULL for nothing, which would read as a failure.
    return had(calloc(count ? count : 1, size ? size : 1), count, size);
}

void *take_again(void *old, size_t count, size_t size) {
    bool fits = size == 0 || count <= SIZE_MAX / size;
    return had(fits ? realloc(old, count > 0 && size > 0 ? count * size : 1) : NULL, count, size);
}

char *take_text(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(take(size, 1), text, size);
}

bool same_word(const char *a, const char *b) {
    for (; *a && *b; a++, b++) {
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b)) { return false; }
    }
    return *a == *b;
}

bool ends_with(const char *text, const char *ending) {
    size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && same_word(text + length - tail, ending);
}

// Levenshtein distance. Words longer than the row are far from everything, which is what a caller wants to hear.
static size_t edit_distance(const char *a, const char *b) {
    enum { LONGEST = 63 };
    size_t row[LONGEST + 1], n = strlen(b);
    if (n > LONGEST || strlen(a) > LONGEST) { return SIZE_MAX; }
    for (size_t j = 0; j <= n; j++) { row[j] = j; }
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t best = diagonal + (tolower((unsigned char)a[i]) != tolower((unsigned char)b[j]));
            if (row[j] + 1 < best) { best = row[j] + 1; }
            if (row[j + 1] + 1 < best) { best = row[j + 1] + 1; }
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    return row[n];
}

const char *nearest_name(const char *word, const char *const *names, size_t count) {
    const char *best = NULL;
    size_t best_distance = strlen(word) / 3 + 2;   // further away than that, a suggestion would mislead
    for (size_t i = 0; i < count; i++) {
        size_t distance = edit_distance(word, names[i]);
        if (distance < best_distance && distance < strlen(names[i])) {
            best = names[i];
            best_distance = distance;
        }
    }
    return best;
}

static void format_scaled(double value, const char *const *units, size_t n_units, char *buf, size_t cap) {
    size_t unit = 0;
    // 999.5 would be printed as 1000 of the smaller unit.
    while (value >= 999.5 && unit + 1 < n_units) {
        value /= 1000;
        unit++;
    }
    snprintf(buf, cap, "%.*f%s", unit == 0 || value >= 99.95 ? 0 : 1, value, units[unit]);
}

void format_bytes(uint64_t bytes, char *buf, size_t cap) {
    static const char *const units[] = { " bytes", " kB", " MB", " GB", " TB" };
    format_scaled((double)bytes, units, sizeof units / sizeof *units, buf, cap);
}

void format_count(uint64_t count, char *buf, size_t cap) {
    static const char *const units[] = { "", " k", " M", " G", " T" };
    format_scaled((double)count, units, sizeof units / sizeof *units, buf, cap);
}

void format_float(float value, char *buf, size_t cap) {
    for (int digits = 6; digits <= 9; digits++) {   // nine always suffice for IEEE single
        snprintf(buf, cap, "%.*g", digits, (double)value);
        if (strtof(buf, NULL) == value) { return; }
    }
}

int decimals_for(double largest) {
    if (!(largest > 0) || !isfinite(largest)) { return 1; }
    int decimals = 3 - (int)floor(log10(largest));
    return decimals < 0 ? 0 : decimals > 9 ? 9 : decimals;
}

double seconds_now(void) { return 1e-9 * (double)rp_time_ns(); }
