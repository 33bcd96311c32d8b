// Whether clients without a key are let in: with ALLOW_ANONYMOUS, and only while no credential is enabled.
import { api, ok } from './api/client';

/** Without an enabled credential, asks the data plane as anybody would. */
export async function isDoorOpen(): Promise<boolean> {
	try {
		const query = { page: 1, page_size: 1, is_enabled: true };
		const { total } = await ok(api.GET('/admin/v1/credentials', { params: { query } }));
		return total === 0 && (await fetch('/v1/models')).ok;
	} catch {
		return false;
	}
}
