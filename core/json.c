// The check walks with one bit per open bracket, so that no nesting can exhaust the stack.
#include "json.h"

#include <assert.h>
#include <string.h>

#include "quote.h"

// ---- the check ----

typedef struct cursor { const char *text, *at, *end, *fault; } cursor;

static bool fault(cursor *c, const char *text) { c->fault = text; return false; }

static void skip_space(cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t')) { c->at++; }
}

static bool is_digit(char x) { return x >= '0' && x <= '9'; }

static int hex_value(char x) {
    if (is_digit(x)) { return x - '0'; }
    if (x >= 'a' && x <= 'f') { return x - 'a' + 10; }
    if (x >= 'A' && x <= 'F') { return x - 'A' + 10; }
    return -1;
}

// The number of \uXXXX; -1: not four hexadecimal digits.
static int32_t read_hex4(const char *at, const char *end) {
    if (end - at < 4) { return -1; }
    int32_t code = 0;
    for (int i = 0; i < 4; i++) {
        const int digit = hex_value(at[i]);
        if (digit < 0) { return -1; }
        code = code * 16 + digit;
    }
    return code;
}

static bool is_high(int32_t code) { return code >= 0xD800 && code <= 0xDBFF; }
static bool is_low(int32_t code) { return code >= 0xDC00 && code <= 0xDFFF; }

static bool check_escape(cursor *c) {                           // at the character after the backslash
    if (c->at == c->end) { return fault(c, "the text ends inside a string"); }
    if (*c->at != 'u') {
        if (!memchr("\"\\/bfnrt", *c->at, 8)) { return fault(c, "an unknown escape stands in a string"); }
        c->at++;
        return true;
    }
    const int32_t code = read_hex4(c->at + 1, c->end);
    if (code < 0) { return fault(c, "\\u without four hexadecimal digits stands in a string"); }
    if (code == 0) { return fault(c, "a NUL character stands in a string"); }
    if (is_low(code)) { return fault(c, "half a surrogate pair stands in a string"); }
    c->at += 5;
    if (!is_high(code)) { return true; }
    if (c->end - c->at < 6 || c->at[0] != '\\' || c->at[1] != 'u' || !is_low(read_hex4(c->at + 2, c->end))) {
        return fault(c, "half a surrogate pair stands in a string");
    }
    c->at += 6;
    return true;
}

static bool check_string(cursor *c) {                           // at the opening quote
    c->at++;
    while (c->at < c->end) {
        const unsigned char x = (unsigned char)*c->at;
        if (x == '"') { c->at++; return true; }
        if (x == '\\') {
            c->at++;
            if (!check_escape(c)) { return false; }
        } else if (x < 0x20) {
            return fault(c, "a control character stands in a string");
        } else {
            const size_t n = rp_utf8_length(c->at, (size_t)(c->end - c->at));
            if (n == 0) { return fault(c, "a string is not UTF-8"); }
            c->at += n;
        }
    }
    return fault(c, "the text ends inside a string");
}

static bool check_digits(cursor *c) {
    if (c->at == c->end || !is_digit(*c->at)) { return fault(c, "a number is malformed"); }
    while (c->at < c->end && is_digit(*c->at)) { c->at++; }
    return true;
}

static bool check_number(cursor *c) {
    const char *begin = c->at;
    if (*c->at == '-') { c->at++; }
    const bool zero = c->at < c->end && *c->at == '0';
    const char *digits = c->at;
    if (!check_digits(c)) { return false; }
    if (zero && c->at - digits > 1) { return fault(c, "a number begins with a zero"); }
    if (c->at < c->end && *c->at == '.') {
        c->at++;
        if (!check_digits(c)) { return false; }
    }
    if (c->at < c->end && (*c->at == 'e' || *c->at == 'E')) {
        c->at++;
        if (c->at < c->end && (*c->at == '+' || *c->at == '-')) { c->at++; }
        if (!check_digits(c)) { return false; }
    }
    return c->at - begin <= RP_JSON_MAX_NUMBER ? true : fault(c, "a number has too many digits");
}

static bool check_word(cursor *c, const char *word) {
    const size_t n = strlen(word);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0) {
        return fault(c, "an unknown word stands where a value should");
    }
    c->at += n;
    return true;
}

static bool check_scalar(cursor *c) {
    switch (*c->at) {
    case '"': return check_string(c);
    case 't': return check_word(c, "true");
    case 'f': return check_word(c, "false");
    case 'n': return check_word(c, "null");
    default: break;
    }
    if (*c->at == '-' || is_digit(*c->at)) { return check_number(c); }
    return fault(c, *c->at == 'N' || *c->at == 'I' ? "NaN and Infinity are not JSON" : "a value was expected");
}

static bool check_key(cursor *c) {
    skip_space(c);
    if (c->at == c->end || *c->at != '"') { return fault(c, "a key in double quotes was expected"); }
    if (!check_string(c)) { return false; }
    skip_space(c);
    if (c->at == c->end || *c->at != ':') { return fault(c, "a colon was expected after the key"); }
    c->at++;
    skip_space(c);
    return true;
}

// One value with all that it holds. `objects` remembers for each open bracket whether it is an object.
static bool check_value(cursor *c, uint64_t *values) {
    uint64_t objects = 0;
    uint32_t depth = 0;
    for (;;) {
        skip_space(c);
        if (c->at == c->end) { return fault(c, "the text ends where a value was expected"); }
        ++*values;
        if (*c->at == '{' || *c->at == '[') {
            const bool object = *c->at == '{';
            if (depth == RP_JSON_MAX_DEPTH) { return fault(c, "brackets nest too deeply"); }
            objects = objects << 1 | object;
            depth++;
            c->at++;
            skip_space(c);
            if (!(c->at < c->end && *c->at == (object ? '}' : ']'))) {
                if (object && !check_key(c)) { return false; }
                continue;
            }
        } else if (!check_scalar(c)) {
            return false;
        }
        // A value has ended (or an empty bracket is about to): close what closes, then go on after a comma.
        for (;;) {
            if (depth == 0) { return true; }
            skip_space(c);
            if (c->at == c->end) { return fault(c, "the text ends before its brackets are closed"); }
            const bool object = objects & 1;
            if (*c->at == ',') {
                c->at++;
                if (object && !check_key(c)) { return false; }
                break;
            }
            if (*c->at != (object ? '}' : ']')) {
                return fault(c, object ? "a comma or } was expected" : "a comma or ] was expected");
            }
            c->at++;
            objects >>= 1;
            depth--;
        }
    }
}

rp_status rp_json_check(const char *text, uint64_t bytes, const char *what, uint64_t *values, rp_error *error) {
    uint64_t count = 0;
    cursor c = { text, text, text + bytes, NULL };
    bool good = check_value(&c, &count);
    if (good) {
        skip_space(&c);
        if (c.at < c.end) { good = fault(&c, "more text follows after the end"); }
    }
    if (values) { *values = count; }
    if (good) { return RP_OK; }
    uint64_t line = 1, column = 1;
    for (const char *p = text; p < c.at; p++) {
        column++;
        if (*p == '\n') { line++; column = 1; }
    }
    return rp_error_set(error, RP_BAD_FILE, "%s is not valid JSON: %s (line %llu, column %llu); copy or download it again",
                        what, c.fault, (unsigned long long)line, (unsigned long long)column);
}

// ---- reading ----

static const char *pass_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) { at++; }
    return at;
}

static const char *pass_string(const char *at) {                // at the opening quote; returns past the closing one
    at++;
    while (*at != '"') { at += *at == '\\' ? 2 : 1; }
    return at + 1;
}

static const char *pass_value(const char *at, const char *end) {
    if (*at == '"') { return pass_string(at); }
    if (*at == '{' || *at == '[') {
        uint32_t depth = 0;
        for (;;) {
            if (*at == '"') { at = pass_string(at); continue; }
            if (*at == '{' || *at == '[') { depth++; }
            if ((*at == '}' || *at == ']') && --depth == 0) { return at + 1; }
            at++;
        }
    }
    while (at < end && !memchr(",]} \n\r\t", *at, 7)) { at++; }
    return at;
}

static rp_json value_at(const char *at, const char *end) {
    rp_json value = { RP_JSON_NUMBER, at, pass_value(at, end) };
    switch (*at) {
    case '{': value.kind = RP_JSON_OBJECT; break;
    case '[': value.kind = RP_JSON_ARRAY; break;
    case '"': value.kind = RP_JSON_STRING; break;
    case 't':
    case 'f': value.kind = RP_JSON_BOOL; break;
    case 'n': value.kind = RP_JSON_NULL; break;
    default: break;
    }
    return value;
}

rp_json rp_json_root(const char *text, uint64_t bytes) { return value_at(pass_space(text, text + bytes), text + bytes); }

const char *rp_json_kind_name(rp_json_kind kind) {
    static const char *const names[] = { "an object", "an array", "a string", "a number", "true or false", "null" };
    return names[kind];
}

rp_json_walk rp_json_begin(rp_json value) {
    assert(value.kind == RP_JSON_OBJECT || value.kind == RP_JSON_ARRAY);
    return (rp_json_walk){ value.begin + 1, value.end, value.kind == RP_JSON_OBJECT };
}

bool rp_json_next(rp_json_walk *walk, rp_json *key, rp_json *value) {
    const char *at = pass_space(walk->at, walk->end);
    if (*at == ',') { at = pass_space(at + 1, walk->end); }
    if (*at == '}' || *at == ']') { walk->at = at; return false; }
    if (walk->object) {
        *key = value_at(at, walk->end);
        at = pass_space(pass_space(key->end, walk->end) + 1, walk->end);   // past the colon
    }
    *value = value_at(at, walk->end);
    walk->at = value->end;
    return true;
}

bool rp_json_u64(rp_json value, uint64_t *out) {
    if (value.kind != RP_JSON_NUMBER) { return false; }
    uint64_t number = 0;
    for (const char *p = value.begin; p < value.end; p++) {
        if (!is_digit(*p)) { return false; }
        const uint64_t digit = (uint64_t)(*p - '0');
        if (number > (UINT64_MAX - digit) / 10) { return false; }
        number = number * 10 + digit;
    }
    *out = number;
    return true;
}

// Decodes the character at *at into out (4 bytes at most) and steps over it; returns its bytes.
static size_t read_character(const char **at, char *out) {
    const char *p = *at;
    if (*p != '\\') { *out = *p; *at = p + 1; return 1; }       // a byte at a time is enough: UTF-8 passes through
    if (p[1] != 'u') {
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        *out = to[(const char *)memchr(from, p[1], 8) - from];
        *at = p + 2;
        return 1;
    }
    uint32_t code = (uint32_t)read_hex4(p + 2, p + 6);
    p += 6;
    if (is_high((int32_t)code)) {
        code = 0x10000 + ((code - 0xD800) << 10) + ((uint32_t)read_hex4(p + 2, p + 6) - 0xDC00);
        p += 6;
    }
    *at = p;
    if (code < 0x80) { out[0] = (char)code; return 1; }
    const size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) { out[i] = (char)(0x80 | (code & 0x3F)); code >>= 6; }
    static const unsigned char lead[5] = { 0, 0, 0xC0, 0xE0, 0xF0 };
    out[0] = (char)(lead[n] | code);
    return n;
}

uint64_t rp_json_copy_string(rp_json string, char *out, uint64_t cap) {
    assert(string.kind == RP_JSON_STRING && cap > 0);
    uint64_t used = 0, whole = 0;                               // whole: where the last complete character ended
    const char *p = string.begin + 1;
    while (p < string.end - 1) {
        char bytes[4];
        if (((unsigned char)*p & 0xC0) != 0x80) { whole = used; }
        const size_t n = read_character(&p, bytes);
        if (used + n >= cap) { used = whole; break; }
        memcpy(out + used, bytes, n);
        used += n;
    }
    out[used] = '\0';
    return used;
}

bool rp_json_string_is(rp_json string, const char *text) {
    if (string.kind != RP_JSON_STRING) { return false; }
    for (const char *p = string.begin + 1; p < string.end - 1;) {
        char bytes[4];
        const size_t n = read_character(&p, bytes);
        if (strncmp(text, bytes, n) != 0) { return false; }     // stops at the end of text: no decoded byte is 0
        text += n;
    }
    return *text == '\0';
}
