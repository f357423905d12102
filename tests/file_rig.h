// What the tests of the file layer share: files made in memory and in a folder of their own, and allocations that are counted and
// made to fail (linked with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc).
#ifndef RP_TESTS_FILE_RIG_H
#define RP_TESTS_FILE_RIG_H

#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "safetensors_private.h"

extern uint64_t allocated_bytes;        // asked for since the last reset
extern int64_t fail_after;              // so many allocations succeed, the next ones fail; -1: none fails
void *__wrap_malloc(size_t size);

#define ENTRY(dtype, shape, begin, end)                                                                                    \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"
#define U8_4 ENTRY("U8", "[4]", 0, 4)

// A safetensors file in memory, the caller's to free: its own header length, the header, then zeros.
unsigned char *file_of(const char *header, size_t header_bytes, size_t data_bytes, size_t *out_bytes);

// A folder for one test; its files go with it.
extern char folder[64];
int enter_folder(void **state);
int leave_folder(void **state);
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)
const char *in_folder(const char *name);        // until the next call
void write_file(const char *name, const void *bytes, size_t size);
void write_safetensors(const char *name, const char *header, size_t data_bytes);

// The status, up to three pieces of its sentence, and that the sentence is whole and has no control characters.
void expect_failure(const char *name, rp_status got, rp_status want, const rp_error *error, const char *const words[3]);

// Text that grows; `at` is the caller's to free.
typedef struct text { char *at; size_t used, cap; } text;
void add(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
