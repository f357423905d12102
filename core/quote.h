// Text from files and callers, made safe to print inside a sentence: in quotes, one line, bounded.
#ifndef RP_QUOTE_H
#define RP_QUOTE_H

#include <stddef.h>

typedef struct rp_quoted { char text[224]; } rp_quoted;         // two fit into an rp_error beside their sentence

// Control characters, invisible direction marks and bytes that are not UTF-8 become \xNN. What does not fit is cut: a name
// keeps its begin, a path its end.
rp_quoted rp_quote(const char *text);
rp_quoted rp_quote_bytes(const char *text, size_t bytes);       // not terminated
rp_quoted rp_quote_path(const char *path);

// Bytes of the UTF-8 character at text[0], of at most `bytes`; 0: not UTF-8 (overlong forms and surrogates included).
size_t rp_utf8_length(const char *text, size_t bytes);

#endif
