"""A mail server (aiosmtpd) on the loopback interface. It prints its port, then each mail that it takes, as the mail
program of a receiver would read it: one JSON object in each line. What it says to a recipient is in the address."""

import argparse
import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = b"offchannel", b"pass word"


class Handler:
    def __init__(self):
        self.known = set()

    async def handle_RCPT(self, server, session, envelope, address, options):
        who = address.split("@")[0]
        if who == "never":
            return "550 5.1.1 no such mailbox here"
        if who == "later" or (who == "second" and address not in self.known):
            self.known.add(address)
            return "451 4.7.1 greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        who = {address.split("@")[0] for address in envelope.rcpt_tos}
        if "spam" in who:
            return "554 5.7.1 this looks like spam"
        if "full" in who:
            return "452 4.3.1 the disk is full"
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = {kind: mail.get_body((kind,)).get_content() for kind in ("plain", "html")}
        told = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": [[name, str(value)] for name, value in mail.items()],
            "defects": [str(defect) for part in mail.walk() for defect in part.defects],
            "parts": [part.get_content_type() for part in mail.walk()],
            "encrypted": session.ssl is not None or server.transport.get_extra_info("ssl_object") is not None,
            "user": session.auth_data.login.decode() if session.auth_data else None,
            **parts,
        }
        print(json.dumps(told), flush=True)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (USER, PASSWORD)
    return AuthResult(success=good, handled=False, auth_data=data)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", choices=["starttls", "implicit", "none"], required=True)
    parser.add_argument("--auth", choices=["PLAIN", "LOGIN"])
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    given = parser.parse_args()
    context = None
    if given.tls != "none":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(given.certificate, given.key)
    handler = Handler()

    def smtp():
        return SMTP(
            handler,
            hostname="mail.test",
            tls_context=context if given.tls == "starttls" else None,
            require_starttls=given.tls == "starttls",
            auth_required=given.auth is not None,
            auth_require_tls=given.tls == "starttls",
            auth_exclude_mechanism={"PLAIN", "LOGIN"} - {given.auth},
            authenticator=authenticate,
        )

    loop = asyncio.get_running_loop()
    implicit = context if given.tls == "implicit" else None
    server = await loop.create_server(smtp, "127.0.0.1", 0, ssl=implicit)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Whoever started it holds its standard input.
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
