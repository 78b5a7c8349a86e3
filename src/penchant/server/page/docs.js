// The API's description, read from /openapi.json and drawn by Swagger UI.
window.SwaggerUIBundle({ url: '/openapi.json', dom_id: '#api', deepLinking: true, validatorUrl: null });
