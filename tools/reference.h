// Manual pages and shell completions, written from the tables that --help prints. The build runs this; users do not.
#ifndef TOOLS_REFERENCE_H
#define TOOLS_REFERENCE_H

#include <stdio.h>

#include "command.h"
#include "options.h"

// Writes into an existing folder: man1/reprise.1, man1/reprise-COMMAND.1, `reprise` for bash and `_reprise` for zsh. False
// after printing why.
bool reference_write(const command *commands, size_t n, const char *folder);

// What completes an option's value.
typedef enum value_class { VALUE_OTHER, VALUE_FILE, VALUE_FOLDER, VALUE_WORDS } value_class;
value_class reference_value(const option *opt, const char **words);   // words: separated by |, for VALUE_WORDS

// ---- the writers: of a whole, its opening and its end; and what is said of each command ----

void man_overview(FILE *out, const command *commands, size_t n);
void man_page(FILE *out, const command *c, const option_set *set);
void bash_begin(FILE *out, const command *commands, size_t n);
void bash_command(FILE *out, const command *c, const option_set *set);
void bash_end(FILE *out);
void zsh_begin(FILE *out, const command *commands, size_t n);
void zsh_command(FILE *out, const command *c, const option_set *set);
void zsh_end(FILE *out);

#endif
