// One safetensors file: 8 bytes of header length, a JSON header, then the tensors without holes. This part decides whether
// the header tells the truth; it reads no tensor's data.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lfs.h"
#include "quote.h"
#include "safetensors_private.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "safetensors data is little-endian and is used in place");

// clang-format off
static const struct { const char *name; rp_dtype dtype; } dtypes[] = {
    { "F32", RP_F32 }, { "BF16", RP_BF16 }, { "F16", RP_F16 }, { "F64", RP_F64 },  { "I64", RP_I64 },
    { "I32", RP_I32 }, { "U32", RP_U32 },   { "U8", RP_U8 },   { "BOOL", RP_U8 },
};
// The rest of what the format knows (safetensors 0.6), so that they are told from damage.
static const char *const other_dtypes[] = { "F4",      "F6_E2M3",     "F6_E3M2",     "F8_E5M2", "F8_E4M3", "F8_E8M0",
                                            "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I8", "I16", "U16", "U64", "C64" };
// clang-format on
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

typedef struct source {
    const char *header;                                         // JSON, checked
    uint64_t header_bytes;
    const char *data;                                           // first byte after the header
    uint64_t data_bytes;
    rp_quoted name;
    uint32_t file;
} source;

// ---- one entry ----

static rp_quoted quote_key(rp_json key) {
    char text[256];                                             // more than a quote shows
    return rp_quote_bytes(text, rp_json_copy_string(key, text, sizeof text));
}

static rp_quoted quote_value(rp_json value) { return rp_quote_bytes(value.begin, (size_t)(value.end - value.begin)); }

#define TENSOR_FAIL(status, format, ...) \
    rp_error_set(error, status, "%s: tensor %s " format, from->name.text, quote_key(key).text, __VA_ARGS__)

static rp_status read_dtype(const source *from, rp_json key, rp_json value, rp_weight *out, rp_error *error) {
    if (value.kind != RP_JSON_STRING) {
        return TENSOR_FAIL(RP_BAD_FILE, "has %s as dtype; a string was expected", rp_json_kind_name(value.kind));
    }
    for (size_t i = 0; i < COUNT(dtypes); i++) {
        if (rp_json_string_is(value, dtypes[i].name)) { out->dtype = dtypes[i].dtype; return RP_OK; }
    }
    static const char readable[] = "this library reads F64, F32, F16, BF16, I64, I32, U32, U8 and BOOL";
    for (size_t i = 0; i < COUNT(other_dtypes); i++) {
        if (rp_json_string_is(value, other_dtypes[i])) {
            return TENSOR_FAIL(RP_UNSUPPORTED, "has dtype %s; %s: convert the file", other_dtypes[i], readable);
        }
    }
    return TENSOR_FAIL(RP_BAD_FILE, "has the unknown dtype %s; %s", quote_value(value).text, readable);
}

static rp_status read_shape(const source *from, rp_json key, rp_json value, rp_weight *out, rp_error *error) {
    if (value.kind != RP_JSON_ARRAY) {
        return TENSOR_FAIL(RP_BAD_FILE, "has %s as shape; an array was expected", rp_json_kind_name(value.kind));
    }
    uint64_t product = 1;                                       // of the dims that are not 0, so that order does not matter
    out->n_dims = 0;
    out->count = 1;
    rp_json dim, unused;
    for (rp_json_walk walk = rp_json_begin(value); rp_json_next(&walk, &unused, &dim);) {
        if (out->n_dims == RP_WEIGHT_MAX_DIMS) {
            return TENSOR_FAIL(RP_BAD_FILE, "has more than %d dimensions", RP_WEIGHT_MAX_DIMS);
        }
        uint64_t size = 0;
        if (!rp_json_u64(dim, &size)) {
            return TENSOR_FAIL(RP_BAD_FILE, "has %s in its shape; whole numbers from 0 were expected",
                               quote_value(dim).text);
        }
        out->dims[out->n_dims++] = size;
        if (size == 0) { out->count = 0; continue; }
        if (product > UINT64_MAX / 8 / size) { // 8: the largest dtype, so that bytes cannot overflow either
            return TENSOR_FAIL(RP_BAD_FILE, "has a shape with more numbers than can be counted: %s",
                               quote_value(value).text);
        }
        product *= size;
    }
    out->count *= product;
    return RP_OK;
}

static rp_status read_offsets(const source *from, rp_json key, rp_json value, rp_weight *out, rp_error *error) {
    uint64_t offset[2] = { 0, 0 };
    uint32_t n = 0;
    if (value.kind != RP_JSON_ARRAY) {
        return TENSOR_FAIL(RP_BAD_FILE, "has %s as data_offsets; two numbers were expected", rp_json_kind_name(value.kind));
    }
    rp_json number, unused;
    for (rp_json_walk walk = rp_json_begin(value); rp_json_next(&walk, &unused, &number); n++) {
        if (n == 2 || !rp_json_u64(number, &offset[n])) { n = 3; break; }
    }
    if (n != 2) {
        return TENSOR_FAIL(RP_BAD_FILE, "has data_offsets %s; two whole numbers from 0 were expected",
                           quote_value(value).text);
    }
    if (offset[0] > offset[1]) {
        return TENSOR_FAIL(RP_BAD_FILE, "ends (byte %llu) before it begins (byte %llu)", (unsigned long long)offset[1],
                           (unsigned long long)offset[0]);
    }
    if (offset[1] > from->data_bytes) {
        return TENSOR_FAIL(RP_BAD_FILE,
                           "ends at byte %llu of the data, of which only %llu are there; the file is cut short: "
                           "copy or download it again",
                           (unsigned long long)offset[1], (unsigned long long)from->data_bytes);
    }
    out->data = from->data + offset[0];
    out->bytes = offset[1] - offset[0];
    return RP_OK;
}

// Reads one entry all but its name, which stays in the JSON text until it is known that all entries are good.
static rp_status read_entry(const source *from, rp_json key, rp_json value, rp_weight *out, rp_error *error) {
    static const struct {
        const char *name;
        rp_status (*read)(const source *from, rp_json key, rp_json value, rp_weight *out, rp_error *error);
    } fields[] = { { "dtype", read_dtype }, { "shape", read_shape }, { "data_offsets", read_offsets } };
    *out = (rp_weight){ .file = from->file };
    if (key.end - key.begin == 2) {
        return rp_error_set(error, RP_BAD_FILE, "%s: a tensor has an empty name", from->name.text);
    }
    if (value.kind != RP_JSON_OBJECT) {
        return TENSOR_FAIL(RP_BAD_FILE, "is %s; an object with dtype, shape and data_offsets was expected",
                           rp_json_kind_name(value.kind));
    }
    uint32_t seen = 0;
    rp_json field, content;
    for (rp_json_walk walk = rp_json_begin(value); rp_json_next(&walk, &field, &content);) {
        for (uint32_t i = 0; i < COUNT(fields); i++) {
            if (!rp_json_string_is(field, fields[i].name)) { continue; }
            if (seen & 1u << i) { return TENSOR_FAIL(RP_BAD_FILE, "has %s twice", fields[i].name); }
            seen |= 1u << i;
            RP_RETURN(fields[i].read(from, key, content, out, error));
        }
    }
    for (uint32_t i = 0; i < COUNT(fields); i++) {
        if (!(seen & 1u << i)) { return TENSOR_FAIL(RP_BAD_FILE, "has no %s", fields[i].name); }
    }
    const uint64_t want = out->count * rp_dtype_size(out->dtype);
    if (out->bytes != want) {
        return TENSOR_FAIL(RP_BAD_FILE, "has %llu bytes, but its shape and dtype (%s) need %llu",
                           (unsigned long long)out->bytes, rp_dtype_name(out->dtype), (unsigned long long)want);
    }
    return RP_OK;
}

// __metadata__ is for the file's author; all that is asked of it is the format's own rule.
static rp_status check_metadata(const source *from, rp_json value, rp_error *error) {
    bool good = value.kind == RP_JSON_OBJECT;
    rp_json key, text;
    for (rp_json_walk walk = good ? rp_json_begin(value) : (rp_json_walk){ 0 }; good && rp_json_next(&walk, &key, &text);) {
        good = text.kind == RP_JSON_STRING;
    }
    if (good) { return RP_OK; }
    return rp_error_set(error, RP_BAD_FILE, "%s: __metadata__ is not an object of strings", from->name.text);
}

// ---- all entries ----

// Visits every tensor. With set->items NULL it only checks and counts; then it fills items and names, which are as many.
static rp_status read_entries(const source *from, rp_weight_set *set, uint64_t *name_bytes, rp_error *error) {
    rp_json key, value;
    bool metadata = false;
    set->count = 0;
    *name_bytes = 0;
    for (rp_json_walk walk = rp_json_begin(rp_json_root(from->header, from->header_bytes));
         rp_json_next(&walk, &key, &value);) {
        if (rp_json_string_is(key, "__metadata__")) {
            if (metadata) { return rp_error_set(error, RP_BAD_FILE, "%s: __metadata__ stands twice", from->name.text); }
            metadata = true;
            RP_RETURN(check_metadata(from, value, error));
            continue;
        }
        rp_weight weight;
        RP_RETURN(read_entry(from, key, value, &weight, error));
        const uint64_t cap = (uint64_t)(key.end - key.begin);
        if (set->items) {
            weight.name = set->names + *name_bytes;
            rp_json_copy_string(key, set->names + *name_bytes, cap);
            set->items[set->count] = weight;
        }
        *name_bytes += cap;
        set->count++;
    }
    return RP_OK;
}

static int compare_places(const void *a, const void *b) {
    const rp_weight *x = a, *y = b;
    const uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data;
    if (p != q) { return p < q ? -1 : 1; }
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;      // empty tensors before the one that begins at the same byte
}

int rp_weight_compare_names(const void *a, const void *b) {
    return strcmp(((const rp_weight *)a)->name, ((const rp_weight *)b)->name);
}

// The format wants every byte of the data in exactly one tensor. Sorts the items by place.
static rp_status check_places(const source *from, rp_weight_set *set, rp_error *error) {
    if (set->count > 1) { qsort(set->items, set->count, sizeof *set->items, compare_places); }
    uint64_t end = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        const rp_weight *weight = &set->items[i];
        const uint64_t begin = (uint64_t)((const char *)weight->data - from->data);
        if (begin < end) {
            return rp_error_set(error, RP_BAD_FILE, "%s: tensors %s and %s overlap", from->name.text,
                                rp_quote(weight[-1].name).text, rp_quote(weight->name).text);
        }
        if (begin > end) {
            return rp_error_set(
                error, RP_BAD_FILE, "%s: bytes %llu to %llu before tensor %s belong to no tensor, which the format forbids",
                from->name.text, (unsigned long long)end, (unsigned long long)begin, rp_quote(weight->name).text);
        }
        end = begin + weight->bytes;
    }
    if (end == from->data_bytes) { return RP_OK; }
    return rp_error_set(error, RP_BAD_FILE, "%s: the last %llu bytes belong to no tensor, which the format forbids",
                        from->name.text, (unsigned long long)(from->data_bytes - end));
}

static rp_status check_names(const source *from, rp_weight_set *set, rp_error *error) {
    if (set->count > 1) { qsort(set->items, set->count, sizeof *set->items, rp_weight_compare_names); }
    for (uint32_t i = 1; i < set->count; i++) {
        if (strcmp(set->items[i - 1].name, set->items[i].name) == 0) {
            return rp_error_set(error, RP_BAD_FILE, "%s: tensor %s stands twice", from->name.text,
                                rp_quote(set->items[i].name).text);
        }
    }
    return RP_OK;
}

// ---- the file ----

static rp_status find_header(const void *data, uint64_t bytes, source *out, rp_error *error) {
    uint64_t header = 0;
    if (bytes < sizeof header) {
        return rp_error_set(error, RP_BAD_FILE, "%s has only %llu bytes, too few for a safetensors file", out->name.text,
                            (unsigned long long)bytes);
    }
    memcpy(&header, data, sizeof header);
    if (header > bytes - sizeof header) {
        return rp_error_set(error, RP_BAD_FILE,
                            "%s is no safetensors file or cut short: its header should have %llu bytes, but the file "
                            "has %llu; copy or download it again",
                            out->name.text, (unsigned long long)header, (unsigned long long)bytes);
    }
    if (header > RP_SAFETENSORS_MAX_HEADER) {
        return rp_error_set(error, RP_BAD_FILE,
                            "%s has a header of %llu bytes; at most %u (32 MB) are read, and published models stay "
                            "below 1 MB",
                            out->name.text, (unsigned long long)header, RP_SAFETENSORS_MAX_HEADER);
    }
    out->header = (const char *)data + sizeof header;
    out->header_bytes = header;
    out->data = out->header + header;
    out->data_bytes = bytes - sizeof header - header;
    if (header == 0 || *out->header != '{') {
        return rp_error_set(error, RP_BAD_FILE, "%s is no safetensors file: its header does not begin with {",
                            out->name.text);
    }
    return RP_OK;
}

rp_status rp_weight_set_parse(const void *data, uint64_t bytes, const char *name, uint32_t file, rp_weight_set *out,
                              rp_error *error) {
    rp_status status = RP_OK;
    rp_weight_set set = { 0 };
    uint64_t name_bytes = 0;
    source from = { .name = rp_quote_path(name), .file = file };
    char what[sizeof from.name.text + 32];
    *out = (rp_weight_set){ 0 };
    RP_TRY(rp_refuse_lfs_pointer(data, bytes, name, error));
    RP_TRY(find_header(data, bytes, &from, error));
    snprintf(what, sizeof what, "the header of %s", from.name.text);
    RP_TRY(rp_json_check(from.header, from.header_bytes, what, NULL, error));
    // All entries are checked before the first byte is allocated: a bad header costs nothing, a good one about three times
    // its size, because an entry cannot be shorter than some 50 characters.
    RP_TRY(read_entries(&from, &set, &name_bytes, error));
    set.items = calloc(set.count ? set.count : 1, sizeof *set.items);
    set.names = malloc(name_bytes ? name_bytes : 1);
    if (!set.items || !set.names) {
        status = rp_error_set(error, RP_OUT_OF_MEMORY, "memory ran out while reading the header of %s", from.name.text);
        goto cleanup;
    }
    RP_TRY(read_entries(&from, &set, &name_bytes, error));
    RP_TRY(check_places(&from, &set, error));
    RP_TRY(check_names(&from, &set, error));
    *out = set;
    set = (rp_weight_set){ 0 };
cleanup:
    rp_weight_set_free(&set);
    return status;
}

void rp_weight_set_free(rp_weight_set *set) {
    free(set->items);
    free(set->names);
    *set = (rp_weight_set){ 0 };
}
