"""AWS Signature Version 4 from its specification, for the tests: to sign what they send to the
servers, and to check what those servers get. Independent of the workers' own signing."""
import collections
import datetime
import hashlib
import hmac
import re
import urllib.parse

ALGORITHM = "AWS4-HMAC-SHA256"
SKEW = 15 * 60  # seconds that a request's clock may be wrong
UNSIGNED = "UNSIGNED-PAYLOAD"
AUTHORIZATION = re.compile(
    ALGORITHM + r" Credential=([^, ]+), ?SignedHeaders=([^, ]+), ?Signature=([0-9a-f]{64})")

Keys = collections.namedtuple("Keys", "access secret token", defaults=(None,))
Scope = collections.namedtuple("Scope", "region service")


class Refused(Exception):
    """A request whose signature is not good: what AWS answers."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def quote(text, safe="-._~"):
    return urllib.parse.quote(text, safe=safe)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def signature(secret, scope, date, canonical_request):
    """date: as in X-Amz-Date, 20261124T030937Z."""
    key = ("AWS4" + secret).encode()
    parts = (date[:8], scope.region, scope.service, "aws4_request")
    for part in parts:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = "\n".join([ALGORITHM, date, "/".join(parts), sha256(canonical_request.encode())])
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def canonical_request(method, target, headers, signed, payload_hash):
    """target: path and query as sent; headers: {lower-case name: value}; signed: names of those
    that count, in order."""
    path, _, query = target.partition("?")
    pairs = [(quote(name), quote(value)) for name, value in
             urllib.parse.parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))]
    lines = [method, quote(urllib.parse.unquote(path), safe="/-._~"),
             "&".join(f"{name}={value}" for name, value in sorted(pairs))]
    lines += [f"{name}:{' '.join(headers[name].split())}" for name in signed]
    return "\n".join([*lines, "", ";".join(signed), payload_hash])


def sign(method, target, headers, body, keys, scope, when=None):
    """Headers with those that sign. headers must hold Host."""
    date = (when or now()).strftime("%Y%m%dT%H%M%SZ")
    signed_headers = {name.lower(): value for name, value in headers.items()}
    signed_headers["x-amz-date"] = date
    payload_hash = signed_headers.get("x-amz-content-sha256") or sha256(body)
    if scope.service == "s3":
        signed_headers["x-amz-content-sha256"] = payload_hash
    if keys.token:
        signed_headers["x-amz-security-token"] = keys.token
    names = sorted(signed_headers)
    request = canonical_request(method, target, signed_headers, names, payload_hash)
    credential = f"{keys.access}/{date[:8]}/{scope.region}/{scope.service}/aws4_request"
    signed_headers["authorization"] = (
        f"{ALGORITHM} Credential={credential}, SignedHeaders={';'.join(names)}, "
        f"Signature={signature(keys.secret, scope, date, request)}")
    return signed_headers


def keys_of(headers, known):
    """Whose request it says it is. known: {access key: Keys}."""
    access = parse(headers)[0].rsplit("/", 4)[0]
    if access not in known:
        raise Refused(403, "UnrecognizedClientException",
                      f"The security token included in the request is invalid: key '{access}'.")
    return known[access]


def parse(headers):
    """Credential, names of signed headers and signature of an Authorization."""
    if "authorization" not in headers:
        raise Refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
    match = AUTHORIZATION.fullmatch(headers["authorization"])
    if not match:
        raise Refused(400, "IncompleteSignatureException", headers["authorization"])
    return match.groups()


def check(method, target, headers, body, keys, scope):
    """Raises Refused unless the request is signed by keys, for that scope, now. headers: {lower-case
    name: value}. What must be signed: Host and all of X-Amz-*."""
    credential, names, given = parse(headers)
    date = headers.get("x-amz-date", "")
    check_date(date)
    check_scope(credential, date, scope)
    if headers.get("x-amz-security-token") != keys.token:
        raise Refused(403, "UnrecognizedClientException",
                      "The security token included in the request is invalid.")
    signed = names.split(";")
    check_names(signed, headers)
    payload_hash = sha256(body)
    if headers.get("x-amz-content-sha256", payload_hash) != payload_hash:
        raise mismatch("x-amz-content-sha256 is not the body's")
    request = canonical_request(method, target, headers, signed, payload_hash)
    if not hmac.compare_digest(signature(keys.secret, scope, date, request), given):
        raise mismatch("The request signature we calculated does not match the signature you "
                       f"provided. The Canonical String should have been\n'{request}'")


def mismatch(message):
    return Refused(403, "InvalidSignatureException", message)


def check_date(date):
    try:
        sent = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ")
    except ValueError:
        raise Refused(400, "IncompleteSignatureException", f"X-Amz-Date: '{date}'") from None
    sent = sent.replace(tzinfo=datetime.timezone.utc)
    if abs((now() - sent).total_seconds()) > SKEW:
        raise mismatch(f"Signature expired: {date} is not within 15 min. of "
                       f"{now():%Y%m%dT%H%M%SZ}")


def check_scope(credential, date, scope):
    parts = credential.split("/")[-4:]
    wanted = [date[:8], scope.region, scope.service, "aws4_request"]
    if parts != wanted:
        raise mismatch(f"Credential should be scoped to {'/'.join(wanted)}, not {'/'.join(parts)}")


def check_names(signed, headers):
    if signed != sorted(set(signed)):
        raise mismatch(f"SignedHeaders are not in order: {signed}")
    for name in ["host", *(name for name in headers if name.startswith("x-amz-"))]:
        if name not in signed:
            raise mismatch(f"header not signed: {name}")
    for name in signed:
        if name not in headers:
            raise mismatch(f"header signed but not sent: {name}")
