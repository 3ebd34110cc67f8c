#include "outside/digest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/text.h"

#define SHA256_BYTES 32
#define MD5_BYTES    16

struct digest {
	EVP_MD_CTX *context;
};

/* libcrypto fails here only for want of memory or of SHA-256 itself. */
static void
insist(bool worked)
{
	if (!worked)
		abort();
}

static void
to_hex(const unsigned char *bytes, size_t count, char *hex)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < count; i++) {
		hex[2 * i] = digits[bytes[i] >> 4];
		hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	hex[2 * count] = '\0';
}

struct digest *
digest_new(void)
{
	struct digest *digest = allocate(sizeof *digest);
	digest->context = EVP_MD_CTX_new();
	insist(digest->context && EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) == 1);
	return digest;
}

void
digest_update(struct digest *digest, const void *bytes, size_t length)
{
	insist(EVP_DigestUpdate(digest->context, bytes, length) == 1);
}

struct digest *
digest_copy(const struct digest *digest)
{
	struct digest *copy = digest_new();
	insist(EVP_MD_CTX_copy_ex(copy->context, digest->context) == 1);
	return copy;
}

void
digest_finish(struct digest **digest, char ret_hex[SHA256_TEXT])
{
	unsigned char hash[SHA256_BYTES];
	insist(EVP_DigestFinal_ex((*digest)->context, hash, NULL) == 1);
	to_hex(hash, sizeof hash, ret_hex);
	digest_drop(digest);
}

void
digest_drop(struct digest **digest)
{
	if (*digest)
		EVP_MD_CTX_free((*digest)->context);
	free_pointer(digest);
}

void
digest_bytes(const void *bytes, size_t length, char ret_hex[SHA256_TEXT])
{
	unsigned char hash[SHA256_BYTES];
	insist(EVP_Digest(bytes, length, hash, NULL, EVP_sha256(), NULL) == 1);
	to_hex(hash, sizeof hash, ret_hex);
}

bool
digest_fd(int fd, const struct tick *tick, char ret_hex[SHA256_TEXT], struct failure *why)
{
	scoped(digest_drop) struct digest *digest = digest_new();
	char block[65536];
	int64_t done = 0;
	for (;;) {
		ssize_t got = read(fd, block, sizeof block);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_errno(why, "cannot read what is to be hashed");
		if (got == 0)
			break;
		digest_update(digest, block, (size_t)got);
		done += got;
		if (!tick_tell(tick, done, 0))
			return fail(why, FAILURE_CANCELLED, "stopped while hashing");
	}
	digest_finish(&digest, ret_hex);
	return true;
}

bool
digest_md5(const void *bytes, size_t length, char ret_hex[MD5_TEXT])
{
	unsigned char hash[MD5_BYTES];
	if (EVP_Digest(bytes, length, hash, NULL, EVP_md5(), NULL) != 1)
		return false;
	to_hex(hash, sizeof hash, ret_hex);
	return true;
}

void
digest_hmac(const char *key, const void *bytes, size_t length, char ret_hex[SHA256_TEXT])
{
	unsigned char hash[SHA256_BYTES];
	insist(HMAC(EVP_sha256(), key, (int)strlen(key), bytes, length, hash, NULL) != NULL);
	to_hex(hash, sizeof hash, ret_hex);
}

bool
digest_equal(const char *a, const char *b)
{
	size_t length = strlen(a);
	return length == strlen(b) && CRYPTO_memcmp(a, b, length) == 0;
}

bool
digest_is_sha256(const char *text)
{
	return strlen(text) == SHA256_TEXT - 1
	       && strspn(text, "0123456789abcdef") == SHA256_TEXT - 1;
}

static void
random_bytes(unsigned char *bytes, size_t count)
{
	insist(count <= 64);
	while (getrandom(bytes, count, 0) != (ssize_t)count)
		;
}

char *
random_hex(size_t bytes)
{
	unsigned char random[64];
	char hex[129];
	random_bytes(random, bytes);
	to_hex(random, bytes, hex);
	return copy_string(hex);
}

char *
random_uuid(void)
{
	unsigned char random[16];
	char hex[33];
	random_bytes(random, sizeof random);
	random[6] = (unsigned char)((random[6] & 0x0F) | 0x40); /* version 4 */
	random[8] = (unsigned char)((random[8] & 0x3F) | 0x80); /* variant */
	to_hex(random, sizeof random, hex);
	return format("%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}
