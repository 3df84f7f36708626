/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "check/offer.h"

static const struct tls_settings both = { .min_version = TLS1_2_VERSION,
                                          .max_version = TLS1_3_VERSION };
static const struct tls_settings old = { .min_version = TLS1_2_VERSION,
                                         .max_version = TLS1_2_VERSION,
                                         .ciphers = "ECDHE-RSA-AES128-GCM-SHA256" };

static void expect(const char *text, const char *part) {
    cr_assert_not_null(strstr(text, part), "'%s' lacks '%s'", text, part);
}

static void expect_not(const char *text, const char *part) {
    cr_assert_null(strstr(text, part), "'%s' has '%s'", text, part);
}

Test(offer_words, name_what_the_broker_accepts) {
    const struct offer offer = {
        .versions = { false, true, true, true },
        .ciphers = { "ECDHE-RSA-AES256-GCM-SHA384", "AES128-SHA" },
        .cipher_count = 2,
        .suites = { "TLS_AES_128_GCM_SHA256" },
        .suite_count = 1,
    };
    struct diagnosis words;

    offer_explain(&offer, CAUSE_PROTOCOL_VERSION, &both, &words);
    expect(words.sentence, "accepts TLSv1.1; TLSv1.2 with ECDHE-RSA-AES256-GCM-SHA384, AES128-SHA; "
                           "TLSv1.3 with TLS_AES_128_GCM_SHA256");
}

Test(offer_words, say_when_it_accepts_nothing) {
    const struct offer offer = { 0 };
    struct diagnosis words;

    offer_explain(&offer, CAUSE_PROTOCOL_VERSION, &both, &words);
    expect(words.sentence, "none that this machine knows");
    expect_not(words.cure, "here:");
    expect(words.cure, "ssl_options.versions.N = tlsv1.3");
}

Test(offer_words, widen_the_version_on_either_side) {
    const struct offer offer = { .versions = { false, false, false, true } };
    struct diagnosis words;

    offer_explain(&offer, CAUSE_PROTOCOL_VERSION, &old, &words);
    expect(words.cure, "tls.version = \"1.2-1.3\"");
    expect(words.cure, "ssl_options.versions.N = tlsv1.2");
}

Test(offer_words, advise_no_version_that_we_refuse_to_speak) {
    const struct offer offer = { .versions = { true, true, false, false } };
    struct diagnosis words;

    offer_explain(&offer, CAUSE_PROTOCOL_VERSION, &both, &words);
    expect_not(words.cure, "tls.version");
}

Test(offer_words, name_a_cipher_that_may_be_configured) {
    const struct offer offer = {
        .versions = { false, false, true, false },
        .ciphers = { "RC4-MD5", "ECDHE-RSA-AES256-GCM-SHA384" },
        .cipher_count = 2,
    };
    struct diagnosis words;

    offer_explain(&offer, CAUSE_NO_SHARED_CIPHER, &old, &words);
    expect(words.cure, "tls.ciphers = [ \"ECDHE-RSA-AES256-GCM-SHA384\" ]");
    expect(words.cure, "ssl_options.ciphers.N = ECDHE-RSA-AES128-GCM-SHA256");
}

Test(offer_words, see_that_the_broker_has_another_kind_of_key) {
    const struct offer offer = {
        .versions = { false, false, true, true },
        .ciphers = { "ECDHE-ECDSA-AES128-GCM-SHA256" },
        .cipher_count = 1,
    };
    struct diagnosis words;

    offer_explain(&offer, CAUSE_NO_SHARED_CIPHER, &old, &words);
    expect(words.cure, "tls.ciphers = [ \"ECDHE-ECDSA-AES128-GCM-SHA256\" ]");
    expect(words.cure, "a certificate with an RSA key");
}

Test(offer_words, speak_of_suites_where_both_sides_speak_1_3) {
    const struct tls_settings pinned = { .min_version = TLS1_2_VERSION,
                                         .max_version = TLS1_3_VERSION,
                                         .ciphersuites = "TLS_AES_256_GCM_SHA384" };
    const struct offer offer = {
        .versions = { false, false, true, true },
        .suites = { "TLS_AES_128_GCM_SHA256" },
        .suite_count = 1,
    };
    struct diagnosis words;

    offer_explain(&offer, CAUSE_NO_SHARED_CIPHER, &pinned, &words);
    expect(words.cure, "tls.ciphersuites = [ \"TLS_AES_128_GCM_SHA256\" ]");
    expect(words.cure, "ssl_options.ciphers.N = TLS_AES_256_GCM_SHA384");
}
