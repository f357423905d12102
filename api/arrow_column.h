// Columns of the Arrow C data interface: checked, found by name or kind, and read.
#ifndef RP_ARROW_COLUMN_H
#define RP_ARROW_COLUMN_H

#include "numbers.h"
#include "reprise_arrow.h"

// One column, checked. Element i of it is numbers' element i, and missing where a validity bitmap says so.
typedef struct arrow_column {
    const char *name, *format;         // the schema's; name "" where it has none
    rp_numbers numbers;                // kind NONE: a type that this library does not read; only name, format and count are set
    bool is_time;                      // a timestamp or date
    int64_t units, seconds;            // is_time: so many units are so many seconds
    const uint8_t *validity[2];        // the column's own bitmap and that of the struct around it; NULL: all there
    int64_t validity_first[2];         // the bit of element 0
} arrow_column;

// Columns of one array: the children of a struct, or the array itself.
typedef struct arrow_table { char what[40]; arrow_column *columns; uint32_t n; uint64_t rows; } arrow_table;

// what: "Series 3" or so, which begins each sentence.
rp_status arrow_table_read(rp_device *device, rp_arena *arena, const char *what, const struct ArrowSchema *schema, const struct ArrowArray *array,
                           arrow_table *out);
// The column of that name; NOT_FOUND names those that are there. optional: *out NULL and no error where there is none.
rp_status arrow_table_find(rp_device *device, const arrow_table *table, const char *name, bool optional, const arrow_column **out);

bool arrow_missing(const arrow_column *c, uint64_t i);
rp_status arrow_need_numbers(rp_device *device, const arrow_table *table, const arrow_column *c);
// float32 [count], missing ones NaN; in place where that is possible.
rp_status arrow_read_f32(rp_device *device, rp_arena *arena, const arrow_column *c, const float **out);
// Seconds since 1970 [count], of a column of times or of int64, rounded down; errors also where one is missing.
rp_status arrow_read_times(rp_device *device, rp_arena *arena, const arrow_table *table, const arrow_column *c, const int64_t **out);

// Releases what is there and not released yet; NULL is fine.
void arrow_release(struct ArrowSchema *schema, struct ArrowArray *array);

#endif
