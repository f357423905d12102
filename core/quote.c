// Quoting, for sentences that speak of things which somebody else named.
#include "quote.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool continues(const unsigned char *s, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        if ((s[i] & 0xC0) != 0x80) { return false; }
    }
    return true;
}

size_t rp_utf8_length(const char *text, size_t bytes) {
    const unsigned char *s = (const unsigned char *)text;
    if (bytes == 0) { return 0; }
    if (s[0] < 0x80) { return 1; }
    const size_t n = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
    if (s[0] < 0xC2 || s[0] > 0xF4 || bytes < n || !continues(s, 1, n)) { return 0; }
    // The second byte rules out what has a shorter form, surrogates, and what lies beyond U+10FFFF.
    if (s[0] == 0xE0 && s[1] < 0xA0) { return 0; }
    if (s[0] == 0xED && s[1] > 0x9F) { return 0; }
    if (s[0] == 0xF0 && s[1] < 0x90) { return 0; }
    if (s[0] == 0xF4 && s[1] > 0x8F) { return 0; }
    return n;
}

// True for characters that would move the cursor or turn the text around: C0, DEL, C1, U+2028..202E, U+2066..2069.
static bool is_unsafe(const char *text, size_t n) {
    const unsigned char *s = (const unsigned char *)text;
    if (n == 1) { return s[0] < 0x20 || s[0] == 0x7F; }
    if (n == 2) { return s[0] == 0xC2 && s[1] < 0xA0; }
    if (n == 3 && s[0] == 0xE2) {
        return (s[1] == 0x80 && s[2] >= 0xA8 && s[2] <= 0xAE) || (s[1] == 0x81 && s[2] >= 0xA6 && s[2] <= 0xA9);
    }
    return false;
}

rp_quoted rp_quote_bytes(const char *text, size_t bytes) {
    static const char hex[] = "0123456789ABCDEF";
    rp_quoted out;
    size_t used = 0, at = 0;
    out.text[used++] = '\'';
    while (at < bytes) {
        size_t n = rp_utf8_length(text + at, bytes - at);
        const bool escape = n == 0 || is_unsafe(text + at, n);
        if (n == 0) { n = 1; }
        if (used + (escape ? 4 * n : n) + sizeof "...'" > sizeof out.text) { break; }
        for (size_t i = 0; i < n; i++) {
            const unsigned char c = (unsigned char)text[at + i];
            if (escape) {
                out.text[used++] = '\\';
                out.text[used++] = 'x';
                out.text[used++] = hex[c >> 4];
                out.text[used++] = hex[c & 15];
            } else {
                out.text[used++] = (char)c;
            }
        }
        at += n;
    }
    const char *end = at < bytes ? "...'" : "'";
    memcpy(out.text + used, end, strlen(end) + 1);
    return out;
}

rp_quoted rp_quote(const char *text) { return rp_quote_bytes(text, strlen(text)); }

rp_quoted rp_quote_path(const char *path) {
    // The file's own name says more than where the path begins.
    const size_t bytes = strlen(path), room = sizeof((rp_quoted *)0)->text - sizeof "'...'";
    if (bytes <= room) { return rp_quote_bytes(path, bytes); }
    const char *tail = path + bytes - (room - 3);
    while (((unsigned char)*tail & 0xC0) == 0x80 && *tail) { tail++; }     // not from the middle of a character
    char cut[sizeof((rp_quoted *)0)->text];
    memcpy(cut, "...", 3);
    memcpy(cut + 3, tail, strlen(tail) + 1);
    return rp_quote(cut);
}
