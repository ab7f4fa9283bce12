/* Where the key size stands in a word of the catalog: "aes%ugcm16". */
#ifndef SEKISHO_CRYPTO_WORDS_H
#define SEKISHO_CRYPTO_WORDS_H

#define KEY_BITS_MARK "%u"

#endif
