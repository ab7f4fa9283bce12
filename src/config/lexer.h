/* The text of a configuration as words, braces, semicolons, line ends and comments. */
#ifndef SEKISHO_CONFIG_LEXER_H
#define SEKISHO_CONFIG_LEXER_H

#include <stdbool.h>

#include "base/bytes.h"

#define WORD_BYTES_MAX 1024

enum token_kind {
    TOKEN_WORD,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_SEMICOLON,
    TOKEN_NEWLINE,
    TOKEN_COMMENT,
    TOKEN_END,
};

struct token {
    enum token_kind kind;
    struct slice raw; /* as it stands there, with quotes; a comment without trailing blanks */
    bool quoted;
    uint32_t line;
    uint32_t column;
    /* What is wrong with the word, a sentence; NULL: nothing. */
    const char *problem;
    const char *advice;
    uint32_t problem_column;
    uint32_t problem_length;
};

struct lexer {
    struct slice text;
    size_t at;
    size_t line_start;
    uint32_t line;
    bool after_blank; /* a comment may begin here */
};

struct lexer lexer_over(struct slice text);
struct token lexer_next(struct lexer *l);
/* The meaning of a word without problem: without quotes and backslashes. `out` has WORD_BYTES_MAX
 * octets; the result lies in it or in the source. */
struct slice lexer_word(const struct token *t, uint8_t *out);
/* The octets of one character of UTF-8 at the beginning, 0 when it is none. */
size_t utf8_read(struct slice text, uint32_t *character);
/* Invisible, or able to reorder what a person sees. */
bool utf8_is_deceptive(uint32_t character);

#endif
