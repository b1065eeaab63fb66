/**
 * The calls of libsrtp 3 that the worker makes, over libsrtp 2, which works in place and takes its length as an int.
 * On the include path before the library's own header.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <netinet/in.h>
#include <srtp2/srtp.h>

#define srtp_err_status_buffer_small srtp_err_status_bad_param
#define srtp_err_status_cryptex_err srtp_err_status_no_ctx

namespace fleetwire
{
	/* Room for a tag and an index behind the packet; the worker gives its buffers more than this. */
	constexpr size_t TrailerBytes{ SRTP_MAX_TRAILER_LEN + 4 };

	template<typename Call>
	inline srtp_err_status_t inPlace(
	  const uint8_t* in, size_t inLength, uint8_t* out, size_t* outLength, size_t growth, Call call)
	{
		if (*outLength < inLength + growth)
		{
			return srtp_err_status_bad_param;
		}

		if (out != in)
		{
			std::memmove(out, in, inLength);
		}

		int length    = static_cast<int>(inLength);
		const auto err = call(out, &length);

		if (err == srtp_err_status_ok)
		{
			*outLength = static_cast<size_t>(length);
		}

		return err;
	}
} // namespace fleetwire

inline srtp_err_status_t srtp_protect(
  srtp_t session, const uint8_t* in, size_t inLength, uint8_t* out, size_t* outLength, size_t /*mkiIndex*/)
{
	return fleetwire::inPlace(
	  in, inLength, out, outLength, fleetwire::TrailerBytes,
	  [session](uint8_t* packet, int* length) { return srtp_protect(session, packet, length); });
}

inline srtp_err_status_t srtp_unprotect(
  srtp_t session, const uint8_t* in, size_t inLength, uint8_t* out, size_t* outLength)
{
	return fleetwire::inPlace(
	  in, inLength, out, outLength, 0,
	  [session](uint8_t* packet, int* length) { return srtp_unprotect(session, packet, length); });
}

inline srtp_err_status_t srtp_protect_rtcp(
  srtp_t session, const uint8_t* in, size_t inLength, uint8_t* out, size_t* outLength, size_t /*mkiIndex*/)
{
	return fleetwire::inPlace(
	  in, inLength, out, outLength, fleetwire::TrailerBytes,
	  [session](uint8_t* packet, int* length) { return srtp_protect_rtcp(session, packet, length); });
}

inline srtp_err_status_t srtp_unprotect_rtcp(
  srtp_t session, const uint8_t* in, size_t inLength, uint8_t* out, size_t* outLength)
{
	return fleetwire::inPlace(
	  in, inLength, out, outLength, 0,
	  [session](uint8_t* packet, int* length) { return srtp_unprotect_rtcp(session, packet, length); });
}

/* The worker has the number in network order already, which is what libsrtp 2 asks for. */
inline srtp_err_status_t srtp_stream_remove(srtp_t session, uint32_t ssrc)
{
	return srtp_remove_stream(session, ssrc);
}
