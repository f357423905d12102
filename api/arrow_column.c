#include "arrow_column.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_ROWS ((int64_t)1 << 48)    // more cannot be in memory: keeps sums of offsets and lengths in range

void arrow_release(struct ArrowSchema *schema, struct ArrowArray *array) {
    if (array != NULL && array->release != NULL) { array->release(array); }
    if (schema != NULL && schema->release != NULL) { schema->release(schema); }
}

// ---- types ----

static void set_number(arrow_column *c, rp_number kind, uint32_t bits) {
    c->numbers.kind = kind, c->numbers.bits = bits, c->numbers.stride = bits / 8;
}

static void set_time(arrow_column *c, uint32_t bits, int64_t units, int64_t seconds) {
    set_number(c, RP_NUMBER_INT, bits);
    c->is_time = true, c->units = units, c->seconds = seconds;
}

// "tss:", and what follows: a zone.
static bool zone_is_ours(const char *zone) {
    static const char *const ours[] = { "", "UTC", "Etc/UTC", "GMT", "Z", "+00:00", "-00:00" };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        if (strcmp(zone, ours[i]) == 0) { return true; }
    }
    return false;
}

// The format strings of the specification. What is not known stays of no kind.
static void read_format(arrow_column *c) {
    static const struct { char letter; rp_number kind; uint32_t bits; } numbers[] = {
        { 'b', RP_NUMBER_BIT, 1 },   { 'c', RP_NUMBER_INT, 8 },    { 'C', RP_NUMBER_UINT, 8 },  { 's', RP_NUMBER_INT, 16 },
        { 'S', RP_NUMBER_UINT, 16 }, { 'i', RP_NUMBER_INT, 32 },   { 'I', RP_NUMBER_UINT, 32 }, { 'l', RP_NUMBER_INT, 64 },
        { 'L', RP_NUMBER_UINT, 64 }, { 'e', RP_NUMBER_FLOAT, 16 }, { 'f', RP_NUMBER_FLOAT, 32 }, { 'g', RP_NUMBER_FLOAT, 64 },
    };
    static const struct { const char *prefix; int64_t units; } stamps[] = {
        { "tss:", 1 }, { "tsm:", 1000 }, { "tsu:", 1000000 }, { "tsn:", 1000000000 },
    };
    const char *format = c->format;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (format[0] == numbers[i].letter && format[1] == '\0') { set_number(c, numbers[i].kind, numbers[i].bits); }
    }
    for (size_t i = 0; i < sizeof stamps / sizeof *stamps; i++) {
        if (strncmp(format, stamps[i].prefix, 4) == 0) { set_time(c, 64, stamps[i].units, 1); }
    }
    if (strcmp(format, "tdD") == 0) { set_time(c, 32, 1, 86400); }
    if (strcmp(format, "tdm") == 0) { set_time(c, 64, 1000, 1); }
}

// ---- arrays ----

static rp_status bad(rp_device *device, const char *what, const char *name, const char *why) {
    return *name ? rp_fail(device, RP_INVALID_ARGUMENT, "%s, column '%.64s': %s.", what, name, why)
                 : rp_fail(device, RP_INVALID_ARGUMENT, "%s: %s.", what, why);
}

// What must hold for any array before one of its fields is believed.
static rp_status check_array(rp_device *device, const char *what, const struct ArrowSchema *schema, const struct ArrowArray *array) {
    if (schema == NULL || array == NULL) { return bad(device, what, "", "an Arrow array and its schema go together, and one of them is NULL"); }
    if (schema->release == NULL || array->release == NULL) { return bad(device, what, "", "the Arrow array or schema was released already"); }
    if (schema->format == NULL) { return bad(device, what, "", "the Arrow schema has no format"); }
    const char *name = schema->name ? schema->name : "";
    if (array->length < 0 || array->offset < 0 || array->length > MAX_ROWS || array->offset > MAX_ROWS) {
        return bad(device, what, name, "its length or offset is negative or beyond all memory");
    }
    if (array->null_count < -1) { return bad(device, what, name, "its null_count is below -1"); }
    if (schema->n_children < 0 || schema->n_children != array->n_children || schema->n_children > INT32_MAX) {
        return bad(device, what, name, "array and schema differ in their number of children");
    }
    if (schema->n_children > 0 && (schema->children == NULL || array->children == NULL)) { return bad(device, what, name, "its children are NULL"); }
    return RP_OK;
}

static const uint8_t *validity_of(const struct ArrowArray *array) {
    return array->null_count == 0 || array->n_buffers < 1 || array->buffers == NULL ? NULL : array->buffers[0];
}

// A column of `rows` rows from `skip` on, which the struct around it says.
static rp_status read_column(rp_device *device, const char *what, const struct ArrowSchema *schema, const struct ArrowArray *array, int64_t skip,
                             int64_t rows, arrow_column *c) {
    RP_RETURN(check_array(device, what, schema, array));
    *c = (arrow_column){ .name = schema->name ? schema->name : "", .format = schema->format };
    c->numbers.count = (uint64_t)rows;
    if (schema->dictionary == NULL && array->dictionary == NULL) { read_format(c); }
    if (array->length < skip + rows) { return bad(device, what, c->name, "it is shorter than the struct around it"); }
    if (c->numbers.kind == RP_NUMBER_NONE) { return RP_OK; }
    if (array->n_buffers != 2 || array->buffers == NULL) { return bad(device, what, c->name, "a column of numbers has two buffers, validity and data"); }
    if (array->buffers[1] == NULL && rows > 0) { return bad(device, what, c->name, "its data is NULL"); }
    if (array->null_count > 0 && array->buffers[0] == NULL) { return bad(device, what, c->name, "it has nulls but no validity bitmap"); }
    const int64_t first = array->offset + skip;
    c->numbers.data = array->buffers[1];
    c->numbers.first_bit = first;
    if (c->numbers.kind != RP_NUMBER_BIT && rows > 0) { c->numbers.data += first * c->numbers.stride; }
    c->validity[0] = validity_of(array), c->validity_first[0] = first;
    return RP_OK;
}

rp_status arrow_table_read(rp_device *device, rp_arena *arena, const char *what, const struct ArrowSchema *schema, const struct ArrowArray *array,
                           arrow_table *out) {
    *out = (arrow_table){ .n = 0 };
    snprintf(out->what, sizeof out->what, "%s", what);
    RP_RETURN(check_array(device, what, schema, array));
    const bool is_struct = strcmp(schema->format, "+s") == 0;
    out->n = is_struct ? (uint32_t)array->n_children : 1;
    out->rows = (uint64_t)array->length;
    out->columns = rp_call_alloc(device, arena, out->n, sizeof *out->columns);
    if (out->columns == NULL) { return RP_OUT_OF_MEMORY; }
    if (array->length == 0) { return bad(device, what, "", "the Arrow array has no rows"); }
    if (!is_struct) { return read_column(device, what, schema, array, 0, array->length, &out->columns[0]); }
    if (array->null_count > 0 && validity_of(array) == NULL) { return bad(device, what, "", "the struct has nulls but no validity bitmap"); }
    for (uint32_t i = 0; i < out->n; i++) {
        RP_RETURN(read_column(device, what, schema->children[i], array->children[i], array->offset, array->length, &out->columns[i]));
        out->columns[i].validity[1] = validity_of(array), out->columns[i].validity_first[1] = array->offset;
    }
    return RP_OK;
}

rp_status arrow_table_find(rp_device *device, const arrow_table *table, const char *name, bool optional, const arrow_column **out) {
    char names[256] = "";
    size_t used = 0;
    *out = NULL;
    for (uint32_t i = 0; i < table->n; i++) {
        const arrow_column *c = &table->columns[i];
        if (strcmp(c->name, name) == 0) {
            if (*out != NULL) { return bad(device, table->what, name, "there are two of that name"); }
            *out = c;
        }
        if (used < sizeof names) { used += (size_t)snprintf(names + used, sizeof names - used, "%s'%.40s'", i ? ", " : "", c->name); }
    }
    if (*out != NULL || optional) { return RP_OK; }
    return rp_fail(device, RP_NOT_FOUND, "%s has no column '%.64s'; it has %s.", table->what, name, table->n ? names : "none");
}

// ---- reading ----

bool arrow_missing(const arrow_column *c, uint64_t i) {
    for (uint32_t j = 0; j < 2; j++) {
        const int64_t bit = c->validity_first[j] + (int64_t)i;
        if (c->validity[j] != NULL && !(c->validity[j][bit / 8] >> bit % 8 & 1)) { return true; }
    }
    return false;
}

rp_status arrow_need_numbers(rp_device *device, const arrow_table *table, const arrow_column *c) {
    if (c->numbers.kind != RP_NUMBER_NONE && !c->is_time) { return RP_OK; }
    return rp_fail(device, RP_UNSUPPORTED, "%s: column '%.64s' is of Arrow type \"%.32s\", which is no number. float16, float32, float64, integers of "
                   "8 to 64 bits and bool are known; cast it.", table->what, c->name, c->format);
}

rp_status arrow_read_f32(rp_device *device, rp_arena *arena, const arrow_column *c, const float **out) {
    const bool whole = c->validity[0] == NULL && c->validity[1] == NULL;
    *out = whole ? rp_numbers_in_place(&c->numbers) : NULL;
    if (*out != NULL) { return RP_OK; }
    float *packed = rp_call_alloc(device, arena, c->numbers.count, sizeof *packed);
    if (packed == NULL) { return RP_OUT_OF_MEMORY; }
    for (uint64_t i = 0; i < c->numbers.count; i++) { packed[i] = arrow_missing(c, i) ? NAN : rp_number_f32(&c->numbers, i); }
    *out = packed;
    return RP_OK;
}

static int64_t seconds_of(const arrow_column *c, int64_t time) {
    if (!c->is_time) { return time; }
    return (time / c->units - (time % c->units < 0)) * c->seconds;   // seconds is not 1 for dates in 32 bits only
}

rp_status arrow_read_times(rp_device *device, rp_arena *arena, const arrow_table *table, const arrow_column *c, const int64_t **out) {
    if (c->numbers.kind != RP_NUMBER_INT || (!c->is_time && c->numbers.bits != 64)) {
        return rp_fail(device, RP_UNSUPPORTED, "%s: column '%.64s' is of Arrow type \"%.32s\"; times are timestamps, dates, or int64 in seconds.",
                       table->what, c->name, c->format);
    }
    if (strncmp(c->format, "ts", 2) == 0 && !zone_is_ours(c->format + 4)) {
        return rp_fail(device, RP_UNSUPPORTED, "%s: the times of column '%.64s' are in zone \"%.64s\", but stored in UTC. Cast them to timestamps "
                       "without a zone that show the exchange's clock.", table->what, c->name, c->format + 4);
    }
    int64_t *packed = rp_call_alloc(device, arena, c->numbers.count, sizeof *packed);
    if (packed == NULL) { return RP_OUT_OF_MEMORY; }
    for (uint64_t i = 0; i < c->numbers.count; i++) {
        if (arrow_missing(c, i)) {
            return rp_fail(device, RP_INVALID_ARGUMENT, "%s: column '%.64s' has no time in row %" PRIu64 ".", table->what, c->name, i);
        }
        packed[i] = seconds_of(c, rp_number_i64(&c->numbers, i));
    }
    *out = packed;
    return RP_OK;
}
