// What every command of the program shares: exit codes, sentences of failure, checked memory, text helpers.
#ifndef TOOLS_COMMON_H
#define TOOLS_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What the program returns to the shell.
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

// The sentence of a failure, for functions that leave the printing to their caller.
typedef struct message {
    char text[1024];
} message;

// Writes the sentence; always false, so that a function can end with: return message_set(error, "...").
bool message_set(message *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

// One line on stderr that begins with "reprise: " or "note: ".
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Zeroed memory for `count` things of `size` bytes. A program that cannot have it has nothing left to say but that: these
// three print a sentence and exit, so that callers need not look. The library never does so.
void *take(size_t count, size_t size);
void *take_again(void *old, size_t count, size_t size);
char *take_text(const char *text);

bool ends_with(const char *text, const char *ending);   // ASCII case does not matter
bool same_word(const char *a, const char *b);           // ASCII case does not matter

// Of `count` names the one that `word` was probably meant to be, or NULL if none is near.
const char *nearest_name(const char *word, const char *const *names, size_t count);

// "4.4 MB": decimal units, as disks and data sheets count; below 1000 "17 bytes".
void format_bytes(uint64_t bytes, char *buf, size_t cap);

// "151 M": a count with three digits.
void format_count(uint64_t count, char *buf, size_t cap);

// The shortest decimal that reads back as the same float.
void format_float(float value, char *buf, size_t cap) __attribute__((nonnull));

// Digits after the point that show a quantity of this size with about four digits in all.
int decimals_for(double largest);

double seconds_now(void);   // a clock that only runs forward

#endif
